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

/// The subset with several correct texts per row and its own formula.
inline constexpr std::string_view kTiesSubset = "Ties";
bool is_ties_subset(std::string_view subset);
/// Whether it is one of the six subsets, by its exact name.
bool is_reward_bench_2_subset(std::string_view subset);

/// Id of a row of the Ties subset. Each question has two rows with the same number: with a single
/// correct answer ("ref:7") and with several ("tied:7").
struct TiesId {
  bool is_tied = false;
  std::int64_t number = 0;
};
/// Empty for an id of another form.
std::optional<TiesId> parse_ties_id(std::string_view id);

/// Terms of the Ties subset's score, as in process_single_model of rewardbench 0.1.4. The margin of
/// a row is its lowest correct score minus its highest incorrect one, its range the highest minus
/// the lowest correct score.
struct TiesTerms {
  Estimate ref_accuracy;    ///< share of ref rows with a margin above 0
  Estimate tied_accuracy;   ///< share of tied rows with a margin above 0
  Estimate preferred;       ///< weak: share of questions whose tied margin exceeds the range
  Estimate preferred_hard;  ///< strong: share whose ref and tied margins both exceed the range
  Estimate margin_score;    ///< mean of tanh(smaller margin / range - 1) where the range is not 0
  Estimate score;  ///< 0.3 tied_accuracy + 0.3 ref_accuracy + 0.2 preferred + 0.2 preferred_hard +
                   ///< 0.01 margin_score: at most 1.01
  std::int64_t num_questions = 0;  ///< with both rows
};

struct RewardBench2Result {
  std::optional<Estimate> overall;  ///< mean of the six subsets; absent if one has no row
  Estimate overall_partial;         ///< mean of those present
  std::vector<SubsetAccuracy> subsets;
  std::optional<TiesTerms> ties_terms;
  std::vector<MissingRows> incomplete;
  std::vector<std::string> warnings;
  std::int64_t num_rows = 0;
  std::int64_t ties = 0;  ///< rows whose (Ties: lowest) correct score equals the best incorrect one
};

/// Credit of a row: 1 if its first text alone has the highest score, 1/k if k texts share it, else
/// 0 (reroll_and_score_dataset of rewardbench 0.1.4).
double best_of_n_result(const ScoredEvalItem& row);

/// Whether a row of the Ties subset has every correct text above every incorrect one.
bool ties_row_is_accurate(const ScoredEvalItem& row);

/// RewardBench 2 as computed by scripts/run_v2.py of rewardbench 0.1.4; the overall is the mean of
/// the subsets, as on the leaderboard. Throws kInput when no row belongs to RewardBench 2 and for a
/// duplicate Ties row.
RewardBench2Result reward_bench_2_result(std::span<const ScoredEvalItem> rows,
                                         const BootstrapOptions& options);

/// Metrics: every subset, the terms of Ties if present, the overall of the known subsets.
MetricSet reward_bench_2_metrics(std::span<const ScoredEvalItem> rows);

/// As the result file has it.
results::Evaluation evaluation_of(const RewardBench2Result& result);

/// Plain-text output.
std::string result_text(const RewardBench2Result& result);

}  // namespace charm::evaluate
