#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "charm/batch/pooled_row.h"
#include "charm/batch/token_batch.h"

namespace charm::batch {

/// Groups rows whose prompt tokens are identical; groups stand in order of their first row, rows in
/// input order.
/// @param rows  (caller's row number, row)
std::vector<TokenGroup> group_by_prompt(std::vector<std::pair<std::size_t, PooledRow>> rows);

/// Packs whole groups, in order, into batches of at most `budget_tokens`. A group larger than the
/// budget is cut between responses: its parts begin batches of their own and all but the last
/// continue, so that a model may keep the prompt's keys and values from one to the next; only the
/// first counts the prompt. A single response larger than the budget is a batch of its own.
std::vector<std::vector<TokenGroup>> plan_batches(std::vector<TokenGroup> groups,
                                                  std::int64_t budget_tokens);

}  // namespace charm::batch
