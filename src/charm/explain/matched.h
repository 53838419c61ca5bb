#pragma once

#include <span>
#include <string>
#include <vector>

#include "charm/explain/explanation.h"
#include "charm/explain/regression.h"

namespace charm::explain {

/// Adds win rate and MD to an explanation: unweighted, weighted to balance the mean log_length of
/// both policies' responses, and weighted to balance all of `columns`. Weights by entropy balancing
/// (balance.h); intervals by bootstrap over prompts, rebalanced in each replicate, with ratings
/// drawn from their own intervals. A match with an effective sample size below 30 is dropped with a
/// warning.
///
/// @param columns  differences of the features that vary, policy - reference, by row
void add_mismatch(PairExplanation& explanation, const stats::PairRows& rows,
                  std::span<const Column> columns, const ArenaRating& over, const ArenaRating& ref,
                  std::size_t num_prompts, const ExplainSettings& settings,
                  std::vector<std::string>& warnings);

}  // namespace charm::explain
