#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace charm::explain {

struct LowessOptions {
  double fraction = 2.0 / 3.0;  ///< of the points behind each local line: less follows more closely
  int robust_iterations = 3;    ///< rounds that give far-off points less weight
  double delta = 0.0;  ///< points nearer than this to a fitted one are interpolated; 0: all are
                       ///< fitted, which takes time quadratic in their number
};

/// Locally weighted linear regression (Cleveland 1979): tricube weights over the nearest points,
/// bisquare weights of residuals. The result of statsmodels' nonparametric.lowess (0.15) with the
/// same frac, it and delta. Immutable.
class Lowess {
 public:
  /// `x` and `y` finite, of equal length, not empty.
  Lowess(std::span<const double> x, std::span<const double> y, const LowessOptions& options);

  /// Between points on the line that joins them, beyond them flat.
  double at(double x) const;

  const std::vector<double>& x() const { return x_; }            ///< ascending
  const std::vector<double>& fitted() const { return fitted_; }  ///< at each x

 private:
  std::vector<double> x_;
  std::vector<double> fitted_;
};

}  // namespace charm::explain
