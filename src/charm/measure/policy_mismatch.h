#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "charm/records/arena.h"
#include "charm/results/mismatch.h"
#include "charm/stats/outcomes.h"
#include "charm/stats/pair_table.h"

// The mean mismatch degree of each policy over all others: whom the reward model flatters.
namespace charm::measure {

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
