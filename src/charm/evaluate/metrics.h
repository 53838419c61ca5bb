#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "charm/evaluate/benchmark.h"
#include "charm/evaluate/prompt_bootstrap.h"

namespace charm::evaluate {

/// One metric of a benchmark's result.
struct Metric {
  enum class Part { kOverall, kSection, kSubset };
  Part part = Part::kOverall;
  std::string name;     ///< of the section (RM-Bench: domain) or subset; empty for the overall
  std::string measure;  ///< "score"; RM-Bench also "hard", "normal", "easy"
  bool is_proportion = true;  ///< a proportion of rows, in [0, 1]
  bool is_magnitude = false;  ///< a mean of |x|, whose replicates are too large
};

/// The metrics of a benchmark on given rows, as a function of row weights: values, bootstrap
/// intervals and paired comparisons of two runs are computed from it. Owns what it needs of the
/// rows.
struct MetricSet {
  std::vector<std::string>
      prompts;  ///< [row] bootstrap clusters: rows with the same text are resampled together
  std::vector<std::string> groups;  ///< [row] its subset
  std::vector<Metric> metrics;      ///< what `statistics` returns, in its order
  WeightedStatistics statistics;
  bool is_complete = false;  ///< whether the overall metric covers the complete benchmark
};

/// Every metric with its bootstrap interval. Where all or none of the rows of each of its groups
/// are correct, the bootstrap interval has width 0: there it is Wilson's, with the number of
/// prompts.
std::vector<Estimate> metric_estimates(const MetricSet& metric_set,
                                       const BootstrapOptions& options);

/// Sum of weights * values over the sum of weights; NaN where the weights add up to 0.
double weighted_mean(std::span<const double> values, std::span<const double> weights);

/// The rows of a subset as indices, subsets in order of first appearance of `groups`.
struct RowGroup {
  std::string name;
  std::vector<std::size_t> rows;
};
std::vector<RowGroup> rows_by_group(std::span<const std::string> groups);

}  // namespace charm::evaluate
