#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "charm/evaluate/benchmark.h"

namespace charm::evaluate {

/// A subset of RewardBench v1: the section it counts in, its weight there and its rows in the
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

struct SubsetAccuracy {
  std::string name;
  std::string section;  ///< empty: no subset of RewardBench v1, counts in no section
  Estimate accuracy;    ///< share of rows with score_chosen > score_rejected; a tie is wrong
  std::int64_t num_rows = 0;
  std::int64_t num_correct = 0;
  std::int64_t ties = 0;
};

struct SectionScore {
  std::string name;
  Estimate score;  ///< mean of its present subsets' accuracies, weighted with EXAMPLE_COUNTS
  std::int64_t num_rows = 0;
};

/// What is less than the whole benchmark.
struct MissingRows {
  std::string subset;
  std::int64_t num_rows = 0;
  std::int64_t expected_rows = 0;
};

struct RewardBenchResult {
  std::optional<Estimate>
      overall;               ///< mean of the four sections; absent while a section has no row
  Estimate overall_partial;  ///< mean of the present sections
  std::vector<SectionScore> sections;
  std::vector<SubsetAccuracy> subsets;
  std::vector<MissingRows> incomplete;
  std::int64_t num_rows = 0;
  std::int64_t ties = 0;
};

/// RewardBench v1 as scripts/run_rm.py and calculate_scores_per_section of rewardbench 0.1.4 count
/// it, except that a section without rows is absent instead of 0. Throws kInput when no row belongs
/// to RewardBench.
RewardBenchResult reward_bench_result(std::span<const ScoredEvalItem> rows,
                                      const BootstrapOptions& options);

nlohmann::ordered_json to_json(const RewardBenchResult& result);

}  // namespace charm::evaluate
