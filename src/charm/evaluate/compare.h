#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "charm/evaluate/benchmark.h"
#include "charm/evaluate/metrics.h"
#include "charm/records/eval_item.h"
#include "charm/results/comparison.h"
#include "charm/stats/hypothesis_tests.h"

namespace charm {
struct Score;
}

// Two runs of one benchmark, A and B, on the same rows. Differences are B - A.
namespace charm::evaluate {

struct ComparedMetric {
  Metric metric;
  Estimate a, b;
  Estimate difference;  ///< paired bootstrap: both runs use the same resampled prompts
};

/// Comparisons on which exactly one run is correct.
struct Flips {
  std::int64_t gained = 0;  ///< B correct, A incorrect
  std::int64_t lost = 0;    ///< A correct, B incorrect
  std::int64_t num_comparisons = 0;
  std::int64_t num_rows = 0;
  stats::McNemar test;        ///< RM-Bench: clustered by row
  double p_value_holm = 1.0;  ///< of subsets: Holm-corrected over all of them
};

struct Comparison {
  Benchmark benchmark = Benchmark::kRewardBench;
  std::vector<ComparedMetric> metrics;
  bool is_complete = false;  ///< the overall metric covers the complete benchmark
  std::int64_t num_rows = 0;
  std::int64_t num_excluded = 0;       ///< arena: responses without a score in either run
  std::optional<Flips> overall_flips;  ///< not for arena; rows that belong to a section
  std::map<std::string, Flips> section_flips, subset_flips;
};

/// Rows may be in any order. Throws kInput where the two runs contain different rows, naming the
/// first unmatched of each.
Comparison compare_rows(Benchmark benchmark, std::span<const ScoredEvalItem> a,
                        std::span<const ScoredEvalItem> b, const BootstrapOptions& options);

/// Correlations with ratings and mean |MD|, also over `held_out_policies`. Throws kInput where the
/// policies or the responses differ; a response with an error in one run is dropped from both and
/// counted.
Comparison compare_arena(std::span<const Score> a, std::span<const Score> b,
                         const std::map<std::string, double>& rating_of_policy,
                         const std::vector<std::string>& held_out_policies,
                         const BootstrapOptions& options);

/// As the result file has it.
results::Comparison comparison_of(const Comparison& comparison);

/// A plain-text table.
std::string comparison_text(const Comparison& comparison);

}  // namespace charm::evaluate
