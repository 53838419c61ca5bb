#include "charm/stats/interval.h"

#include <algorithm>
#include <cmath>

#include "charm/base/check.h"

namespace charm::stats {

double quantile_sorted(std::span<const double> sorted, double probability) {
  CHARM_CHECK(!sorted.empty(), "quantile of an empty range");
  const double position = probability * static_cast<double>(sorted.size() - 1);
  const auto below = std::min(static_cast<std::size_t>(position), sorted.size() - 1);
  const auto above = std::min(below + 1, sorted.size() - 1);
  const double share = position - static_cast<double>(below);
  return sorted[below] + share * (sorted[above] - sorted[below]);
}

Interval percentile_interval(std::vector<double> values, double level) {
  std::sort(values.begin(), values.end());
  return {.lo = quantile_sorted(values, 0.5 * (1.0 - level)),
          .hi = quantile_sorted(values, 0.5 * (1.0 + level))};
}

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

}  // namespace charm::stats
