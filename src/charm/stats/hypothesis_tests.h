#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace charm::stats {

/// McNemar's test: whether two classifiers of the same items have equal accuracy.
struct McNemar {
  std::optional<double> statistic;  ///< chi-square with one degree of freedom; none where exact
  double p_value = 1.0;             ///< two-sided
};

/// Below this many discordant items the test is the exact binomial one.
inline constexpr std::int64_t kExactDiscordant = 25;

/// Independent items; `gained`: only the second classifier is right, `lost`: only the first. Few
/// discordant items: exact binomial, 2 P(X <= min(gained, lost)) with X ~ B(gained + lost, 1/2), at
/// most 1. Otherwise chi-square with continuity correction, (|gained - lost| - 1)^2 / (gained +
/// lost), as statsmodels' mcnemar and R's mcnemar.test compute it.
McNemar mcnemar_test(std::int64_t gained, std::int64_t lost);

/// For items in clusters of equal size (the comparisons of one benchmark row): `differences` is
/// gained - lost of each cluster; chi-square (sum d)^2 / sum d^2 (Durkalski et al. 2003, Statistics
/// in Medicine 22, 2417).
McNemar clustered_mcnemar_test(std::span<const double> differences);

/// Two-sided p-value of a standard normal deviate.
double normal_p_value(double z);

// p-values corrected for multiple testing, in input order; equal to statsmodels' multipletests.

/// Holm 1979: controls the family-wise error rate under any dependence.
std::vector<double> holm_adjusted(std::span<const double> p_values);

/// Benjamini and Hochberg 1995: controls the false discovery rate (independent or positively
/// dependent tests).
std::vector<double> benjamini_hochberg_adjusted(std::span<const double> p_values);

}  // namespace charm::stats
