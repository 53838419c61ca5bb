#include "charm/stats/descriptive.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>

#include "charm/base/check.h"

namespace charm::stats {

double mean(std::span<const double> values) {
  double sum = 0.0;
  for (const double value : values) sum += value;
  return values.empty() ? 0.0 : sum / static_cast<double>(values.size());
}

double standard_deviation(std::span<const double> values) {
  if (values.size() < 2) return 0.0;
  const double center = mean(values);
  double sum = 0.0;
  for (const double value : values) sum += (value - center) * (value - center);
  return std::sqrt(sum / static_cast<double>(values.size() - 1));
}

double quantile_sorted(std::span<const double> sorted, double probability) {
  CHARM_CHECK(!sorted.empty(), "quantile of an empty range");
  const double position = probability * static_cast<double>(sorted.size() - 1);
  const auto below = std::min(static_cast<std::size_t>(position), sorted.size() - 1);
  const auto above = std::min(below + 1, sorted.size() - 1);
  const double share = position - static_cast<double>(below);
  return sorted[below] + share * (sorted[above] - sorted[below]);
}

std::optional<double> pearson(std::span<const double> x, std::span<const double> y) {
  CHARM_CHECK(x.size() == y.size(), "{} values against {}", x.size(), y.size());
  if (x.size() < 2) return std::nullopt;
  const double mean_x = mean(x);
  const double mean_y = mean(y);
  double xx = 0.0;
  double yy = 0.0;
  double xy = 0.0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    xx += (x[i] - mean_x) * (x[i] - mean_x);
    yy += (y[i] - mean_y) * (y[i] - mean_y);
    xy += (x[i] - mean_x) * (y[i] - mean_y);
  }
  if (xx <= 0.0 || yy <= 0.0) return std::nullopt;
  return std::clamp(xy / (std::sqrt(xx) * std::sqrt(yy)), -1.0, 1.0);
}

std::vector<double> mean_ranks(std::span<const double> values) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return values[a] < values[b]; });
  std::vector<double> ranks(values.size());
  for (std::size_t first = 0; first < order.size();) {
    std::size_t last = first;
    while (last + 1 < order.size() && values[order[last + 1]] == values[order[first]]) ++last;
    const double rank = 0.5 * static_cast<double>(first + last) + 1.0;
    for (std::size_t i = first; i <= last; ++i) ranks[order[i]] = rank;
    first = last + 1;
  }
  return ranks;
}

std::optional<double> spearman(std::span<const double> x, std::span<const double> y) {
  return pearson(mean_ranks(x), mean_ranks(y));
}

std::optional<double> kendall_tau_b(std::span<const double> x, std::span<const double> y) {
  CHARM_CHECK(x.size() == y.size(), "{} values against {}", x.size(), y.size());
  // All pairs: the values are policies, a few dozen at most, so the quadratic form is the clear
  // one.
  std::int64_t concordant = 0;
  std::int64_t discordant = 0;
  std::int64_t untied_x = 0;
  std::int64_t untied_y = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    for (std::size_t j = i + 1; j < x.size(); ++j) {
      const int order_x = (x[i] > x[j]) - (x[i] < x[j]);
      const int order_y = (y[i] > y[j]) - (y[i] < y[j]);
      untied_x += order_x != 0;
      untied_y += order_y != 0;
      concordant += order_x * order_y > 0;
      discordant += order_x * order_y < 0;
    }
  }
  if (untied_x == 0 || untied_y == 0) return std::nullopt;
  return static_cast<double>(concordant - discordant) /
         std::sqrt(static_cast<double>(untied_x) * static_cast<double>(untied_y));
}

}  // namespace charm::stats
