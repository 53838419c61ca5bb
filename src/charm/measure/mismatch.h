#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "charm/records/arena.h"
#include "charm/results/mismatch.h"
#include "charm/stats/interval.h"
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

}  // namespace charm::measure
