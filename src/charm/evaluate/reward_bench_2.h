#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "charm/evaluate/metrics.h"
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

/// Credit of a row: 1 if its first text alone has the highest score, 1/k if k texts share it, else
/// 0 (reroll_and_score_dataset of rewardbench 0.1.4).
double best_of_n_result(const ScoredEvalItem& row);

/// RewardBench 2 as computed by scripts/run_v2.py of rewardbench 0.1.4: every subset, the terms of
/// Ties (ties_subset.h) if present, and the mean of the known subsets, as on the leaderboard.
/// Throws kInput for a duplicate Ties row.
MetricSet reward_bench_2_metrics(std::span<const ScoredEvalItem> rows);

/// Adds what version 2 alone has: sections, the terms of Ties, subsets that are incomplete or count
/// otherwise.
void add_reward_bench_2_facts(const MetricSet& metric_set, std::span<const Estimate> estimates,
                              std::span<const ScoredEvalItem> rows,
                              results::Evaluation& evaluation);

}  // namespace charm::evaluate
