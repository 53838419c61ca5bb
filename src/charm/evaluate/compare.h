#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "charm/evaluate/benchmark.h"
#include "charm/evaluate/best_of_n.h"
#include "charm/evaluate/metrics.h"
#include "charm/records/eval_item.h"
#include "charm/records/vote.h"
#include "charm/results/comparison.h"

namespace charm {
struct Score;
}

// Two runs of one benchmark, A and B, on the same rows. Differences are B - A.
namespace charm::evaluate {

/// Accumulates comparisons on which exactly one run is correct.
class FlipCount {
 public:
  /// The comparisons of one cluster, right under A and under B.
  void add(const std::vector<bool>& a, const std::vector<bool>& b);
  std::int64_t num_comparisons() const { return num_comparisons_; }
  /// McNemar's test; where a cluster has several comparisons, by cluster.
  /// @param cluster  what one is: a row; of votes a prompt
  results::Flips flips(std::string_view cluster) const;

 private:
  std::int64_t gained_ = 0, lost_ = 0, num_comparisons_ = 0;
  std::vector<double> differences_;  ///< gained - lost, by cluster
};

/// Metrics of both runs and their differences, on the same bootstrap replicates. Both sets are of
/// the same rows in the same order.
void add_metrics(const MetricSet& a, const MetricSet& b, const BootstrapOptions& options,
                 results::Comparison& comparison);

/// The part of this name, added at the end if it is new.
results::ComparedPart& part_named(const std::string& name,
                                  std::vector<results::ComparedPart>& parts);

/// Rows may be in any order. Throws kInput where the two runs contain different rows, naming the
/// first unmatched of each.
results::Comparison compare_rows(Benchmark benchmark, std::span<const ScoredEvalItem> a,
                                 std::span<const ScoredEvalItem> b,
                                 const BootstrapOptions& options);

/// Correlations with ratings and mean |MD|, also over `held_out_policies`. Throws kInput where the
/// policies or the responses differ; a response with an error in one run is dropped from both and
/// counted.
results::Comparison compare_arena(std::span<const Score> a, std::span<const Score> b,
                                  const std::map<std::string, double>& rating_of_policy,
                                  const std::vector<std::string>& held_out_policies,
                                  const BootstrapOptions& options);

/// Prediction of people's votes by the scores as they are: P(a over b) = sigmoid of their
/// difference, without offsets. Votes may be in any order; those with an error in one run are
/// dropped from both and counted. Throws kInput where the two runs hold different votes.
results::Comparison compare_votes(std::span<const ScoredVote> a, std::span<const ScoredVote> b,
                                  const BootstrapOptions& options);

/// What best-of-n picks by the scores of B instead of those of A, a section for every n above 1.
/// Throws kInput where the responses differ; those with an error in one run are dropped from both.
/// @param candidates  of run A, with their texts
results::Comparison compare_best_of_n(std::vector<Candidate> candidates, std::span<const Score> a,
                                      std::span<const Score> b, const BootstrapOptions& options);

/// A plain-text table.
std::string comparison_text(const results::Comparison& comparison);

}  // namespace charm::evaluate
