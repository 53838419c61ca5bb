#pragma once

#include <span>
#include <string>
#include <vector>

#include "charm/records/eval_item.h"
#include "charm/score/resumed_scoring.h"
#include "charm/storage/journal.h"

namespace charm::evaluate {

struct ScoredItems {
  std::vector<ScoredEvalItem> rows;  ///< in input order; a failed row has empty score lists
  std::vector<std::string> errors;   ///< one line per failed row: which and why
};

/// Scores every text of every benchmark row as a response to the row's prompt. Scores in the
/// journal are reused, others are appended as they finish.
ScoredItems score_items(std::span<const ScoredEvalItem> rows, const score::ScoreRowsFn& score_rows,
                        storage::Journal& journal);

}  // namespace charm::evaluate
