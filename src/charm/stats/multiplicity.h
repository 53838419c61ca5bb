#pragma once

#include <span>
#include <vector>

namespace charm::stats {

// p-values corrected for multiple testing, in input order; equal to statsmodels' multipletests.

/// Holm 1979: controls the family-wise error rate under any dependence.
std::vector<double> holm_adjusted(std::span<const double> p_values);

/// Benjamini and Hochberg 1995: controls the false discovery rate (independent or positively
/// dependent tests).
std::vector<double> benjamini_hochberg_adjusted(std::span<const double> p_values);

}  // namespace charm::stats
