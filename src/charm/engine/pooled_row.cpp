#include "charm/engine/pooled_row.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "charm/base/error.h"

namespace charm::engine {

PooledRow make_pooled_row(std::vector<std::int32_t> ids, std::int64_t prompt_length,
                          std::int32_t pad_token_id, std::span<const std::int32_t> gate_tokens) {
  if (pad_token_id >= 0) {
    while (!ids.empty() && ids.back() == pad_token_id) ids.pop_back();
  }
  if (ids.empty()) {
    throw Error(
        ErrorKind::kInput,
        "the conversation has no token to pool: expected at least one other than pad_token_id {}",
        pad_token_id);
  }
  if (!gate_tokens.empty()) {
    const auto gate = std::find_end(ids.begin(), ids.end(), gate_tokens.begin(), gate_tokens.end());
    if (gate == ids.end()) {
      throw Error(
          ErrorKind::kInput,
          "the conversation does not contain the tokens {} (end of turn and assistant header of "
          "the chat template this reward model was trained with), whose hidden state its gating "
          "network reads: use the model's own template, or a larger --max-tokens where the "
          "conversation was truncated from the left",
          fmt::join(gate_tokens, " "));
    }
    prompt_length = gate - ids.begin();
  }
  const auto last = static_cast<std::int64_t>(ids.size()) - 1;
  return {std::move(ids), std::clamp<std::int64_t>(prompt_length, 0, last)};
}

}  // namespace charm::engine
