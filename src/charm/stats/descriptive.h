#pragma once

#include <optional>
#include <span>
#include <vector>

namespace charm::stats {

double mean(std::span<const double> values);

/// Sample standard deviation (n - 1); 0 for fewer than two values.
double standard_deviation(std::span<const double> values);

/// Quantile by linear interpolation between order statistics (type 7 of Hyndman and Fan 1996,
/// numpy's default). `sorted` ascending and not empty.
double quantile_sorted(std::span<const double> sorted, double probability);

// Correlations; empty where undefined: fewer than two values, or a constant side. `x` and `y` have
// equal length and finite values.

std::optional<double> pearson(std::span<const double> x, std::span<const double> y);

/// Pearson correlation of the ranks; ties get their mean rank.
std::optional<double> spearman(std::span<const double> x, std::span<const double> y);

/// tau-b: (concordant - discordant) / sqrt((pairs - ties in x)(pairs - ties in y)).
std::optional<double> kendall_tau_b(std::span<const double> x, std::span<const double> y);

/// Ranks from 1; ties get their mean rank.
std::vector<double> mean_ranks(std::span<const double> values);

}  // namespace charm::stats
