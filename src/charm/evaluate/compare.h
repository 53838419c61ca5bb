#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "charm/evaluate/benchmark.h"
#include "charm/evaluate/best_of_n.h"
#include "charm/evaluate/metrics.h"
#include "charm/records/eval_item.h"
#include "charm/records/vote.h"
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
  stats::McNemar test;        ///< RM-Bench: clustered by row; votes: by prompt
  double p_value_holm = 1.0;  ///< of subsets: Holm-corrected over all of them
};

/// Accumulates flips.
class FlipCount {
 public:
  /// The comparisons of one row (of votes: those of one prompt), right under A and under B.
  void add(const std::vector<bool>& a, const std::vector<bool>& b);
  Flips flips() const;

 private:
  Flips flips_;
  std::vector<double> differences_;
};

struct Comparison {
  Benchmark benchmark = Benchmark::kRewardBench;
  std::vector<ComparedMetric> metrics;
  bool is_complete = false;  ///< the overall metric covers the complete benchmark
  std::int64_t num_rows = 0;
  std::int64_t num_excluded = 0;       ///< arena, votes, best-of-n: without a score in either run
  std::optional<Flips> overall_flips;  ///< not for arena and best-of-n; rows of a section
  std::map<std::string, Flips> section_flips, subset_flips;
};

/// Metrics of both runs and their differences, on the same bootstrap replicates. Both sets are of
/// the same rows in the same order.
std::vector<ComparedMetric> compare_metrics(const MetricSet& a, const MetricSet& b,
                                            const BootstrapOptions& options);

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

/// Prediction of people's votes by the scores as they are: P(a over b) = sigmoid of their
/// difference, without offsets. Votes may be in any order; those with an error in one run are
/// dropped from both and counted. Throws kInput where the two runs hold different votes.
Comparison compare_votes(std::span<const ScoredVote> a, std::span<const ScoredVote> b,
                         const BootstrapOptions& options);

/// What best-of-n picks by the scores of B instead of those of A, a section for every n above 1.
/// Throws kInput where the responses differ; those with an error in one run are dropped from both.
/// @param candidates  of run A, with their texts
Comparison compare_best_of_n(std::vector<Candidate> candidates, std::span<const Score> a,
                             std::span<const Score> b, const BootstrapOptions& options);

/// As the result file has it.
results::Comparison comparison_of(const Comparison& comparison);

/// A plain-text table.
std::string comparison_text(const Comparison& comparison);

}  // namespace charm::evaluate
