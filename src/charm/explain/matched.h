#pragma once

#include <span>
#include <string>
#include <vector>

#include "charm/explain/explanation.h"
#include "charm/explain/regression.h"

namespace charm::explain {

/// Adds win rate and MD to an explanation: on the rows as they are, weighted so that both policies'
/// responses are equally long on average (log_length), and so that they are alike in all of
/// `columns`. Weights by entropy balancing (balance.h); intervals by resampling prompts, balancing
/// anew, with ratings drawn from their own intervals. A match that rests on fewer than 30 rows'
/// worth of weight is left out with a warning.
///
/// @param columns  differences of the features that vary, policy less reference, by row
void add_mismatch(PairExplanation& explanation, const stats::PairRows& rows,
                  std::span<const Column> columns, const ArenaRating& over, const ArenaRating& ref,
                  std::size_t num_prompts, const ExplainSettings& settings,
                  std::vector<std::string>& warnings);

}  // namespace charm::explain
