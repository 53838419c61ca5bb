#pragma once

#include <optional>
#include <span>
#include <vector>

namespace charm::stats {

// Each is empty where it is undefined: fewer than two values, or no variation on one side.
// `x` and `y` have equal length and finite values.

std::optional<double> pearson(std::span<const double> x, std::span<const double> y);

/// Pearson correlation of the ranks; ties get their mean rank.
std::optional<double> spearman(std::span<const double> x, std::span<const double> y);

/// tau-b: (concordant - discordant) / sqrt((pairs - ties in x)(pairs - ties in y)).
std::optional<double> kendall_tau_b(std::span<const double> x, std::span<const double> y);

/// Ranks from 1; ties get their mean rank.
std::vector<double> mean_ranks(std::span<const double> values);

}  // namespace charm::stats
