#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "charm/evaluate/benchmark.h"
#include "charm/evaluate/metrics.h"
#include "charm/evaluate/subset_accuracy.h"
#include "charm/records/eval_item.h"
#include "charm/results/evaluation.h"

namespace charm::evaluate {

/// A subset of RewardBench v1: its section, its weight there and its number of rows in the
/// `filtered` split.
struct RewardBenchSubset {
  std::string_view name;
  std::string_view section;
  std::int64_t weight = 0;  ///< EXAMPLE_COUNTS of rewardbench/constants.py
  std::int64_t num_rows =
      0;  ///< differs from the weight in math-prm only: 447 rows, weighted as 984
};

/// The 23 subsets in their sections' order (allenai/reward-bench, rewardbench/constants.py).
std::span<const RewardBenchSubset> reward_bench_subsets();

/// The section of a subset, Prior Sets included; empty when it has none.
std::string_view reward_bench_section(std::string_view subset);

/// The section of the prior test sets (allenai/pref-test-sets), which the leaderboard weights by
/// 0.5.
inline constexpr std::string_view kPriorSets = "Prior Sets";
inline constexpr double kPriorSetsWeight = 0.5;

/// The prior test set that a subset or file is named after ("shp-00000-of-00001" -> "shp"); empty
/// when there is none.
std::string_view prior_set(std::string_view name);

struct RewardBenchResult {
  std::optional<Estimate> overall;  ///< mean of the four sections; absent if a section has no row
  Estimate overall_partial;         ///< mean of the present sections; NaN where there are none
  /// The leaderboard's average: weight 1 for each section and 0.5 for the mean of the four prior
  /// sets. Absent if a section or a prior set has no row; the partial one if no prior set has.
  std::optional<Estimate> overall_with_prior_sets;
  std::optional<Estimate> overall_with_prior_sets_partial;
  std::vector<SectionScore> sections;  ///< those present; Prior Sets last
  std::vector<SubsetAccuracy> subsets;
  std::vector<MissingRows> incomplete;
  std::vector<std::string> missing_prior_sets;  ///< if some prior set is present
  std::vector<std::string> warnings;
  std::int64_t num_rows = 0;
  std::int64_t ties = 0;
};

/// RewardBench v1 as scripts/run_rm.py and calculate_scores_per_section of rewardbench 0.1.4 count
/// it, and the prior sets as get_average_over_rewardbench in analysis/get_benchmark_results.py
/// does, except that a section without rows is absent instead of 0. Throws kInput when no row
/// belongs to RewardBench.
RewardBenchResult reward_bench_result(std::span<const ScoredEvalItem> rows,
                                      const BootstrapOptions& options);

/// Metrics: every subset, every present section, the overall of those present.
MetricSet reward_bench_metrics(std::span<const ScoredEvalItem> rows);

/// As the result file has it.
results::Evaluation evaluation_of(const RewardBenchResult& result);

/// Plain-text output.
std::string result_text(const RewardBenchResult& result);

}  // namespace charm::evaluate
