#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include "charm/dist/world.h"
#include "charm/records/records.h"
#include "charm/score/scorer.h"
#include "charm/storage/journal.h"

namespace charm::score {

/// Scores some rows, reporting finished ones on the way (usually `score_responses` with its model
/// bound).
using ScoreRowsFn = std::function<std::vector<ScoredResponse>(std::span<const Response> rows,
                                                              const ScoredFn& on_scored)>;

/// Scores the rows that the journal does not hold and appends each finished batch to it. Because a
/// score is a function of its own tokens, an interrupted run that continues here gives the same
/// results as one that was not. Throws kInput when the journal does not fit the rows.
std::vector<ScoredResponse> score_responses_resumed(std::span<const Response> rows,
                                                    const ScoreRowsFn& score_rows,
                                                    storage::Journal& journal);

/// The same by all processes of `world`, each of which calls this with the same rows. Only rank 0
/// has a journal and gets the results; the others get nothing. Which process scores a row changes
/// no bit of it.
std::vector<ScoredResponse> score_responses_together(std::span<const Response> rows,
                                                     const ScoreRowsFn& score_rows,
                                                     storage::Journal* journal, dist::World& world);

/// Which open rows this rank scores: whole prompts, so dealt out that every rank gets about as much
/// text. Every rank computes the same.
std::vector<std::size_t> rows_of_rank(std::span<const Response> rows, const std::vector<bool>& done,
                                      int rank, int size);

}  // namespace charm::score
