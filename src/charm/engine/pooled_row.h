#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace charm::engine {

/// The tokens of one sequence that its score depends on, split at the end of the prompt.
struct PooledRow {
  std::vector<std::int32_t> ids;  ///< ends with the pooled token
  std::int64_t prompt_length =
      0;  ///< < ids.size(): at least the pooled token belongs to the response
};

/// Truncates a row after its pooled token: attention is causal, so later tokens do not affect the
/// score. The pooled token is the right-most one whose id is not `pad_token_id`, as transformers'
/// *ForSequenceClassification does since 4.50; with `pad_token_id` = -1 it is the last token. Where
/// the pooled token belongs to the prompt (an empty response closed by the pad token), the split
/// moves before it. The result is a function of the arguments alone.
///
/// A head with a gating network also reads the hidden state of the token where `gate_tokens` last
/// begin (the end of the last user turn). Then the row is split there, so that this token is the
/// first of the response; see add_gates. Throws kInput when no token qualifies, or when the row
/// does not hold `gate_tokens`.
PooledRow make_pooled_row(std::vector<std::int32_t> ids, std::int64_t prompt_length,
                          std::int32_t pad_token_id,
                          std::span<const std::int32_t> gate_tokens = {});

}  // namespace charm::engine
