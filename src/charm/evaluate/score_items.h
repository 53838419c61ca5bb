#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "charm/base/progress.h"
#include "charm/records/records.h"
#include "charm/score/scorer.h"
#include "charm/storage/journal.h"

namespace charm::evaluate {

/// Scores rows and reports finished ones through the callback: `score::score_responses` with its
/// model and options bound, or a simple rule in tests.
using ScoreRowsFn = std::function<std::vector<ScoredResponse>(std::span<const Response> rows,
                                                              const score::ScoredFn& on_scored)>;

struct ScoredItems {
  std::vector<ScoredEvalItem> rows;  ///< in input order; a row that failed has empty score lists
  std::vector<std::string> errors;   ///< one line per failed row: which and why
};

/// Scores every text of every benchmark row. Rows that the journal holds are taken from it, others
/// are appended as they finish.
ScoredItems score_items(std::span<const ScoredEvalItem> rows, const ScoreRowsFn& score_rows,
                        storage::Journal& journal);

/// The same for responses of policies (the arena benchmark): result in input order, a failed row
/// carries its error.
std::vector<ScoredResponse> score_responses_resumed(std::span<const Response> rows,
                                                    const ScoreRowsFn& score_rows,
                                                    storage::Journal& journal);

}  // namespace charm::evaluate
