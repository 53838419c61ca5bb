#pragma once

#include <cstdint>
#include <vector>

namespace charm::batch {

/// The tokens of one sequence that its score depends on, split where the prompt's own tokens end.
struct PooledRow {
  std::vector<std::int32_t> ids;   ///< ends with the pooled token
  std::int64_t prompt_length = 0;  ///< < ids.size(): at least the pooled token belongs to the response
};

/// Cuts a row after its pooled token: attention is causal, so later tokens cannot change the score.
/// The pooled token is the right-most one whose id is not `pad_token_id`, as transformers' *ForSequenceClassification does since
/// 4.50; with `pad_token_id` = -1 it is the last token. Where the pooled token lies in the prompt (an empty response closed by the
/// pad token), the split moves in front of it. The result depends on the arguments alone, never on other rows.
/// Throws kInput when no token qualifies.
PooledRow make_pooled_row(std::vector<std::int32_t> ids, std::int64_t prompt_length, std::int32_t pad_token_id);

}  // namespace charm::batch
