#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "charm/evaluate/metrics.h"
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

/// The prior test set (allenai/pref-test-sets) that a subset or file is named after
/// ("shp-00000-of-00001" -> "shp"); empty when there is none.
std::string_view prior_set(std::string_view name);

/// RewardBench v1 as scripts/run_rm.py and calculate_scores_per_section of rewardbench 0.1.4 count
/// it: every subset, every present section, the mean of the four sections (of those present). Where
/// there are prior sets also "with_prior_sets", the leaderboard's average as
/// get_average_over_rewardbench in analysis/get_benchmark_results.py computes it: weight 1 for each
/// section and 0.5 for the mean of the four counted prior sets.
MetricSet reward_bench_metrics(std::span<const ScoredEvalItem> rows);

/// Adds what version 1 alone has: the average with prior sets, which sets are missing, subsets that
/// are incomplete or unknown.
void add_reward_bench_facts(const MetricSet& metric_set, std::span<const Estimate> estimates,
                            results::Evaluation& evaluation);

}  // namespace charm::evaluate
