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

/// Scores rows and reports finished ones (usually `score_responses` with its model bound).
using ScoreRowsFn = std::function<std::vector<ScoredResponse>(std::span<const Response> rows,
                                                              const ScoredFn& on_scored)>;

/// Scores the rows that are not in the journal and appends each finished batch to it. Because a
/// score is a function of its own tokens, a resumed run gives the same results as an uninterrupted
/// one. Throws kInput if the journal does not match the rows.
std::vector<ScoredResponse> score_responses_resumed(std::span<const Response> rows,
                                                    const ScoreRowsFn& score_rows,
                                                    storage::Journal& journal);

/// The same with all processes of `world`, each called with the same rows. Only rank 0 has a
/// journal and returns the results; the others return nothing. Results do not depend on the number
/// of processes.
std::vector<ScoredResponse> score_responses_distributed(std::span<const Response> rows,
                                                        const ScoreRowsFn& score_rows,
                                                        storage::Journal* journal,
                                                        dist::World& world);

/// The pending rows that a rank scores: whole prompts, balanced by text size. Every rank computes
/// the same partition.
std::vector<std::size_t> rows_of_rank(std::span<const Response> rows, const std::vector<bool>& done,
                                      int rank, int size);

}  // namespace charm::score
