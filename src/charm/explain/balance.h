#pragma once

#include <optional>
#include <span>
#include <vector>

namespace charm::explain {

/// Weights of rows under which the mean of every column is 0.
struct Balance {
  std::vector<double> weights;      ///< [row], they add up to 1
  std::vector<double> multipliers;  ///< [column], in the columns' own units
  double effective_rows = 0.0;      ///< effective sample size (Kish): 1 / sum of squared weights
};

/// Entropy balancing (Hainmueller 2012): of all weights under which the columns' means are 0, those
/// nearest to `base` in relative entropy, w_i proportional to base_i exp(sum_k multiplier_k x_ik).
/// Found by Newton's method on the convex dual from `start` (empty: 0). Empty where no such weights
/// exist (a linear combination of the columns has one sign on every row) or they degenerate.
///
/// @param columns  [column][row], not all equal within a column
/// @param base     [row], >= 0, not all 0
std::optional<Balance> balance(std::span<const std::vector<double>> columns,
                               std::span<const double> base, std::span<const double> start = {});

}  // namespace charm::explain
