#pragma once

#include <functional>
#include <span>
#include <vector>

#include "charm/records/records.h"
#include "charm/score/scorer.h"
#include "charm/storage/journal.h"

namespace charm::score {

/// Scores some rows, reporting finished ones on the way (usually `score_responses` with its model bound).
using ScoreRowsFn = std::function<std::vector<ScoredResponse>(std::span<const Response> rows, const ScoredFn& on_scored)>;

/// Scores the rows that the journal does not hold and appends each finished batch to it. Because a score is a function of its own
/// tokens, an interrupted run that continues here gives the same results as one that was not.
/// Throws kInput when the journal does not fit the rows.
std::vector<ScoredResponse> score_responses_resumed(std::span<const Response> rows, const ScoreRowsFn& score_rows,
                                                    storage::Journal& journal);

}  // namespace charm::score
