#include "charm/engine/layout.h"

#include <algorithm>

#include "charm/base/check.h"

namespace charm::engine {

BatchLayout make_layout(const PackedBatch& batch, std::span<RopeAngles> angles,
                        std::int64_t num_computed_tokens) {
  BatchLayout layout;
  layout.num_computed_tokens = num_computed_tokens;
  layout.prompts = batch.prompts;
  if (num_computed_tokens > 0) {
    CHARM_CHECK(
        !batch.prompts.empty() && batch.prompts.front().response_length == num_computed_tokens,
        "{} computed tokens are not the first prompt", num_computed_tokens);
    layout.prompts.erase(layout.prompts.begin());
  }
  layout.responses = batch.responses;
  if (batch.last_prompt_continues) {
    const Segment& prompt = batch.prompts.back();
    layout.prefix_to_cache_begin = prompt.response_begin;
    const auto begin = batch.ids.begin() + prompt.response_begin;
    layout.prefix_to_cache.assign(begin, begin + prompt.response_length);
  }
  std::vector<RopeSpan> spans;
  for (const Segment& s : batch.responses) {
    const std::int64_t length = s.prompt_length + s.response_length;
    // A cached prompt is short enough for the fixed frequencies.
    if (s.prompt_begin >= num_computed_tokens)
      spans.push_back({s.prompt_begin - num_computed_tokens, s.prompt_length, length});
    spans.push_back({s.response_begin - num_computed_tokens, s.response_length, length});
  }
  layout.ids_T.assign(batch.ids.begin() + num_computed_tokens, batch.ids.end());
  layout.last_S = batch.last;
  for (std::int64_t& token : layout.last_S) token -= num_computed_tokens;
  const auto computed =
      std::span(batch.positions).subspan(static_cast<std::size_t>(num_computed_tokens));
  for (RopeAngles& one : angles) layout.ropes.push_back(one.table(computed, spans));
  return layout;
}

BatchLayout make_cached_layout(const CachedBatch& batch, KvCache& cache,
                               std::span<RopeAngles> angles) {
  BatchLayout layout;
  layout.cache = &cache;
  std::vector<std::int32_t> positions;
  std::vector<RopeSpan> spans;
  for (const CachedTokens& sequence : batch.sequences) {
    const auto begin = layout.num_tokens();
    const auto length = static_cast<std::int64_t>(sequence.ids.size());
    CHARM_CHECK(length > 0, "a sequence without tokens");
    layout.ids_T.insert(layout.ids_T.end(), sequence.ids.begin(), sequence.ids.end());
    for (std::int64_t i = 0; i < length; ++i) {
      const std::int64_t position = sequence.first_position + i;
      positions.push_back(static_cast<std::int32_t>(position));
      spans.push_back({begin + i, 1, std::max(sequence.prompt_length, position + 1)});
    }
    layout.cached.push_back({begin, length, sequence.first_position, sequence.blocks});
    if (!sequence.wants_logits) continue;
    layout.cached_last.push_back({static_cast<std::int64_t>(layout.last_S.size()), 1,
                                  sequence.first_position + length - 1, sequence.blocks});
    layout.last_S.push_back(begin + length - 1);
  }
  for (RopeAngles& one : angles) layout.ropes.push_back(one.table(positions, spans));
  return layout;
}

}  // namespace charm::engine
