#include "charm/explain/lowess.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "charm/base/check.h"

namespace charm::explain {
namespace {

double cube(double value) { return value * value * value; }

// [point] bisquare weights of residuals in units of six times their median.
std::vector<double> residual_weights(std::span<const double> y, std::span<const double> fitted) {
  std::vector<double> sizes;
  for (std::size_t i = 0; i < y.size(); ++i) sizes.push_back(std::abs(y[i] - fitted[i]));
  std::vector<double> sorted = sizes;
  std::sort(sorted.begin(), sorted.end());
  const std::size_t half = sorted.size() / 2;
  const double median =
      sorted.size() % 2 == 1 ? sorted[half] : 0.5 * (sorted[half - 1] + sorted[half]);
  std::vector<double> weights;
  for (const double size : sizes) {
    const double scaled =
        median == 0.0 ? (size > 0.0 ? 1.0 : 0.0) : std::min(1.0, size / (6.0 * median));
    const double rest = 1.0 - scaled * scaled;
    weights.push_back(rest * rest);
  }
  return weights;
}

// The local line through the points [left, right) around x[i], at x[i].
double local_fit(std::span<const double> x, std::span<const double> y,
                 std::span<const double> robustness, std::size_t i, std::size_t left,
                 std::size_t right, std::vector<double>& weights) {
  const double radius = std::max(x[i] - x[left], x[right - 1] - x[i]);
  double sum = 0.0;
  std::size_t num_used = 0;
  for (std::size_t j = left; j < right; ++j) {
    // Where all neighbours equal x[i] the radius is 0: equal weights.
    const double distance = radius > 0.0 ? std::abs(x[j] - x[i]) / radius : 0.0;
    weights[j] = cube(1.0 - cube(distance)) * robustness[j];
    sum += weights[j];
    num_used += weights[j] > 1e-12 ? 1 : 0;
  }
  if (num_used < 2) return y[i];
  double mean_x = 0.0;
  for (std::size_t j = left; j < right; ++j) mean_x += weights[j] / sum * x[j];
  double variance = 0.0;
  for (std::size_t j = left; j < right; ++j)
    variance += weights[j] / sum * (x[j] - mean_x) * (x[j] - mean_x);
  variance = std::max(variance, 1e-12);
  double fit = 0.0;
  for (std::size_t j = left; j < right; ++j) {
    fit += weights[j] / sum * (1.0 + (x[i] - mean_x) * (x[j] - mean_x) / variance) * y[j];
  }
  return fit;
}

// The next point to fit after `last`; copies the fit to points of equal x and advances `last` past
// them.
std::size_t next_point(std::span<const double> x, std::vector<double>& fitted, double delta,
                       std::size_t& last) {
  const double cut = x[last] + delta;
  std::size_t k = last;
  for (k = last + 1; k < x.size(); ++k) {
    if (x[k] > cut) break;
    if (x[k] == x[last]) {
      fitted[k] = fitted[last];
      last = k;
    }
  }
  // The loop's last index, not one past it.
  if (k == x.size()) k = x.size() - 1;
  return std::max(k == 0 ? 0 : k - 1, last + 1);
}

}  // namespace

Lowess::Lowess(std::span<const double> x, std::span<const double> y, const LowessOptions& options) {
  const std::size_t n = x.size();
  CHARM_CHECK(n > 0 && y.size() == n, "{} values of x and {} of y", n, y.size());
  std::vector<std::size_t> order(n);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return x[a] < x[b]; });
  std::vector<double> sorted_y;
  for (const std::size_t i : order) {
    x_.push_back(x[i]);
    sorted_y.push_back(y[i]);
  }
  const auto wanted = static_cast<std::size_t>(options.fraction * static_cast<double>(n) + 1e-10);
  const std::size_t num_neighbours = std::min(std::max<std::size_t>(wanted, 2), n);
  std::vector<double> robustness(n, 1.0);
  std::vector<double> weights(n, 0.0);
  fitted_.assign(n, 0.0);
  for (int round = 0; round <= options.robust_iterations; ++round) {
    std::size_t left = 0;
    std::size_t right = num_neighbours;
    std::size_t last = n;  // none yet
    for (std::size_t i = 0; i < n;) {
      while (right < n && x_[i] > 0.5 * (x_[left] + x_[right])) {
        ++left;
        ++right;
      }
      fitted_[i] = local_fit(x_, sorted_y, robustness, i, left, right, weights);
      if (last != n) {
        for (std::size_t j = last + 1; j < i; ++j) {
          const double share = (x_[j] - x_[last]) / (x_[i] - x_[last]);
          fitted_[j] = share * fitted_[i] + (1.0 - share) * fitted_[last];
        }
      }
      last = i;
      i = next_point(x_, fitted_, options.delta, last);
    }
    robustness = residual_weights(sorted_y, fitted_);
  }
}

double Lowess::at(double x) const {
  const auto above = std::lower_bound(x_.begin(), x_.end(), x);
  if (above == x_.end()) return fitted_.back();
  const auto i = static_cast<std::size_t>(above - x_.begin());
  if (i == 0 || x_[i] == x) return fitted_[i];
  const double share = (x - x_[i - 1]) / (x_[i] - x_[i - 1]);
  return share * fitted_[i] + (1.0 - share) * fitted_[i - 1];
}

}  // namespace charm::explain
