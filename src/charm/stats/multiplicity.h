#pragma once

#include <span>
#include <vector>

namespace charm::stats {

// p-values of many tests, adjusted so that each may be compared with one level. In the order given;
// equal to statsmodels' multipletests.

/// Holm 1979: below the level, the chance of any false finding among all tests is at most the
/// level, whatever their dependence.
std::vector<double> holm_adjusted(std::span<const double> p_values);

/// Benjamini and Hochberg 1995: below the level, the expected share of false ones among the
/// findings is at most the level (independent or positively dependent tests).
std::vector<double> benjamini_hochberg_adjusted(std::span<const double> p_values);

}  // namespace charm::stats
