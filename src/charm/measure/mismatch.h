#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "charm/records/arena.h"
#include "charm/results/mismatch.h"
#include "charm/stats/interval.h"
#include "charm/stats/outcomes.h"
#include "charm/stats/pair_table.h"
#include "charm/stats/paired_scores.h"

namespace charm::measure {

struct MismatchOptions {
  results::TieRule ties = results::TieRule::kLoss;
  std::int64_t bootstrap = 1000;
  std::uint64_t seed = 0;
  std::size_t num_threads = 0;
};

/// p-value of H0: win rate = target. A score test: under H0 the win rate of n independent prompts
/// has the variance e (1 - e) / n; n is the effective sample size w (1 - w) / se^2 of the clustered
/// standard error, or the number of prompts where w is 0 or 1. The target's own variance, from the
/// ratings' intervals, is added.
/// @param target_se  standard error of the target win rate; 0 where ratings are exact
double mismatch_p_value(const stats::ClusteredRate& win_rate, double target, double target_se);

/// A warning where all rows of pairs tie: of all pairs, or naming the pairs.
std::optional<std::string> tie_warning(std::span<const results::Pair> pairs);

/// The pure part of `measure`: `ratings` in the order of the table's policies.
results::Mismatch measure_mismatch(const stats::PairedScores& scores,
                                   std::span<const ArenaRating> ratings,
                                   const MismatchOptions& options);

/// Two-sided p-value of H0: the value is 0. Without variance: 1 for 0, else 0.
double deviation_p_value(double value, double variance);

/// Fills `mean_mismatch`, `num_prompts` and the test's `p_value` of every policy; those of `pairs`
/// are filled in already. The test is the pairs' score test (mismatch_p_value) for a mean: with two
/// policies both have the same p-value. The correlation of a policy's pairs is that of their
/// outcomes on the same prompts.
void add_policy_means(results::Mismatch& mismatch, std::span<const stats::PolicyPair> pairs,
                      const stats::PairTable& table, std::span<const ArenaRating> ratings,
                      std::span<const stats::PairReplicate> replicates, std::size_t num_prompts);

}  // namespace charm::measure
