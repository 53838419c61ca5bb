#pragma once

#include <span>
#include <vector>

namespace charm::stats {

/// Bounds of a confidence interval.
struct Interval {
  double lo = 0.0;
  double hi = 0.0;
};

/// Quantile by linear interpolation between order statistics (type 7 of Hyndman and Fan 1996,
/// numpy's default). `sorted` ascending and not empty.
double quantile_sorted(std::span<const double> sorted, double probability);

/// Percentile interval of bootstrap replicates; `level` is the coverage. `values` not empty.
Interval percentile_interval(std::vector<double> values, double level = 0.95);

double mean(std::span<const double> values);

/// Sample standard deviation (n - 1); 0 for fewer than two values.
double standard_deviation(std::span<const double> values);

}  // namespace charm::stats
