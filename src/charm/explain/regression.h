#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "charm/results/explanation.h"
#include "charm/stats/interval.h"

namespace charm::explain {

/// One regressor, with a value per row.
struct Column {
  std::string name;
  std::vector<double> values;
};

using results::DroppedFeature;

/// Ordinary least squares of y on an intercept and columns, with cluster-robust standard errors.
struct Regression {
  std::vector<std::size_t> kept;  ///< indices of the kept columns
  std::vector<DroppedFeature> dropped;
  std::vector<double> coefficients;  ///< the intercept, then one for each kept column
  std::vector<double> errors;        ///< their standard errors
  std::vector<std::vector<double>>
      influence;            ///< [coefficient][cluster]; errors^2 = correction * sum of squares
  double correction = 1.0;  ///< G / (G - 1) * (N - 1) / (N - K)
  double critical = 0.0;    ///< of Student's t at 97.5 % with G - 1 degrees of freedom
  double r_squared = 0.0;
  std::size_t num_clusters = 0;  ///< G, clusters with rows
  std::size_t num_rows = 0;

  stats::Interval interval(double value, double error) const {
    return {.lo = value - critical * error, .hi = value + critical * error};
  }
  /// Standard error of a quantity whose influence by cluster is given.
  double error_of(std::span<const double> cluster_influence) const;
};

/// The CR1 sandwich (Liang and Zeger 1986, with Stata's small-sample factor) and t intervals with G
/// - 1 degrees of freedom: what statsmodels' OLS gives with cov_type="cluster" and use_t=True.
/// Constant columns and columns collinear with previous ones are dropped. Throws kInput for fewer
/// than two clusters or no more rows than coefficients.
Regression clustered_regression(std::span<const Column> columns, std::span<const double> y,
                                std::span<const std::uint32_t> cluster_of_row,
                                std::size_t num_clusters);

/// 97.5 % quantile of Student's t, within 1e-6 from 3 degrees of freedom on.
double student_975(double degrees);

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
