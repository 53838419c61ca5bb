#pragma once

#include <string>
#include <vector>

#include "charm/evaluate/prompt_bootstrap.h"

namespace charm::evaluate {

/// One number of a benchmark's result.
struct Figure {
  enum class Part { kOverall, kSection, kSubset };
  Part part = Part::kOverall;
  std::string name;      ///< of the section (RM-Bench: domain) or subset; empty for the overall
  std::string measure;   ///< "score"; RM-Bench also "hard", "normal", "easy"
  bool is_share = true;  ///< of rows; 0 and 1 are its ends
};

/// How a benchmark counts given rows, as a function of the rows' weights: values, their intervals
/// and paired comparisons of two runs are all made of it. Holds what it needs of the rows.
struct Tally {
  std::vector<std::string> prompts;  ///< [row] rows with the same text are drawn together
  std::vector<std::string> groups;   ///< [row] the subset it counts in
  std::vector<Figure> figures;       ///< what `statistics` returns, in its order
  WeightedStatistics statistics;
  bool is_whole = false;  ///< whether the overall figure covers the whole benchmark
};

/// Every figure with its bootstrap interval. Where all or none of a group's rows are right, no draw
/// differs: there the interval is Wilson's for as many rows as the group has prompts.
std::vector<Estimate> tally_estimates(const Tally& tally, const BootstrapOptions& options);

/// Sum of weights * values over the sum of weights; NaN where the weights add up to 0.
double weighted_mean(std::span<const double> values, std::span<const double> weights);

/// The rows of a subset as indices, subsets in order of first appearance of `groups`.
struct RowGroup {
  std::string name;
  std::vector<std::size_t> rows;
};
std::vector<RowGroup> rows_by_group(std::span<const std::string> groups);

}  // namespace charm::evaluate
