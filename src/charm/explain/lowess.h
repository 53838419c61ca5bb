#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace charm::explain {

struct LowessOptions {
  double fraction =
      2.0 / 3.0;  ///< share of the points in each local regression: smaller is less smooth
  int robust_iterations = 3;  ///< iterations that downweight outliers
  double delta = 0.0;  ///< points within this distance of a fitted one are interpolated; 0: all are
                       ///< fitted, in quadratic time
};

/// Locally weighted linear regression (Cleveland 1979): tricube weights over the nearest points,
/// bisquare weights of residuals. The result of statsmodels' nonparametric.lowess (0.15) with the
/// same frac, it and delta. Immutable.
class Lowess {
 public:
  /// `x` and `y` finite, of equal length, not empty.
  Lowess(std::span<const double> x, std::span<const double> y, const LowessOptions& options);

  /// Linear interpolation between points, constant extrapolation.
  double at(double x) const;

  const std::vector<double>& x() const { return x_; }            ///< ascending
  const std::vector<double>& fitted() const { return fitted_; }  ///< at each x

 private:
  std::vector<double> x_;
  std::vector<double> fitted_;
};

}  // namespace charm::explain
