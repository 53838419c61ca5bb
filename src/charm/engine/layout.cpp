#include "charm/engine/layout.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/outer.h>

#include <algorithm>
#include <utility>

#include "charm/base/check.h"
#include "charm/engine/host_copy.h"

namespace charm::engine {
namespace {

/// Packed tokens with the RoPE frequencies of a sequence of `length`.
struct RopeSpan {
  std::int64_t begin = 0;
  std::int64_t rows = 0;
  std::int64_t length = 0;
};

RopeTable make_table(const RopeFrequencies& frequencies, const at::Tensor& positions_T,
                     const std::vector<RopeSpan>& spans) {
  // Angles in float32 as transformers computes them (position * inv_freq), so that the two agree
  // bit for bit.
  const auto angles = [&](const at::Tensor& positions, const at::Tensor& inverse_F) {
    return at::outer(positions, inverse_F.to(positions_T.device()));
  };
  const at::Tensor angles_TF = angles(positions_T, frequencies.inverse_F);
  for (const RopeSpan& s : spans) {
    if (s.length <= frequencies.fixed_up_to) continue;
    angles_TF.narrow(0, s.begin, s.rows)
        .copy_(angles(positions_T.narrow(0, s.begin, s.rows), frequencies.of_length(s.length)));
  }
  return {angles_TF.cos() * frequencies.attention_scaling,
          angles_TF.sin() * frequencies.attention_scaling};
}

/// Fills ids, RoPE tables and last rows.
void fill_tokens(const std::vector<std::int64_t>& ids, const std::vector<float>& positions,
                 const std::vector<std::int64_t>& last,
                 std::span<const RopeFrequencies> frequencies, const std::vector<RopeSpan>& spans,
                 const at::Device& device, BatchLayout& layout) {
  layout.num_tokens = static_cast<std::int64_t>(ids.size());
  layout.num_responses = static_cast<std::int64_t>(last.size());
  layout.ids_T = to_device(ids, device);
  layout.last_S = to_device(last, device);
  const at::Tensor positions_T = to_device(positions, device);
  for (const RopeFrequencies& one : frequencies)
    layout.ropes.push_back(make_table(one, positions_T, spans));
}

/// The layout's sequences in order of query rows.
std::vector<VarlenSequence> packed_sequences(const BatchLayout& layout, bool last_rows) {
  std::vector<VarlenSequence> sequences;
  if (!last_rows) {
    for (const Segment& s : layout.prompts) {
      sequences.push_back({s.response_begin - layout.num_computed_tokens,
                           s.response_length,
                           {{s.response_begin, s.response_length}}});
    }
  }
  for (std::size_t i = 0; i < layout.responses.size(); ++i) {
    const Segment& s = layout.responses[i];
    VarlenSequence sequence{
        last_rows ? static_cast<std::int64_t>(i) : s.response_begin - layout.num_computed_tokens,
        last_rows ? 1 : s.response_length,
        {}};
    if (s.prompt_length > 0) sequence.keys.push_back({s.prompt_begin, s.prompt_length});
    sequence.keys.push_back({s.response_begin, s.response_length});
    sequences.push_back(std::move(sequence));
  }
  std::sort(sequences.begin(), sequences.end(),
            [](const auto& a, const auto& b) { return a.query_begin < b.query_begin; });
  return sequences;
}

/// KV-cache rows of positions `begin` .. `end` of a sequence.
std::vector<kernels::KeySpan> cache_spans(const std::vector<std::int32_t>& blocks,
                                          std::int64_t begin, std::int64_t end) {
  std::vector<kernels::KeySpan> spans;
  for (std::int64_t position = begin; position < end;) {
    const std::int64_t in_block = position % KvCache::kBlockTokens;
    const std::int64_t length = std::min(KvCache::kBlockTokens - in_block, end - position);
    spans.push_back({blocks[static_cast<std::size_t>(position / KvCache::kBlockTokens)] *
                             KvCache::kBlockTokens +
                         in_block,
                     length});
    position += length;
  }
  return spans;
}

std::vector<VarlenSequence> cached_sequences(const std::vector<kernels::PagedSequence>& cached) {
  std::vector<VarlenSequence> sequences;
  sequences.reserve(cached.size());
  for (const kernels::PagedSequence& rows : cached) {
    sequences.push_back({rows.begin, rows.length,
                         cache_spans(rows.block_table, 0, rows.first_position + rows.length)});
  }
  return sequences;
}

}  // namespace

BatchLayout make_layout(const PackedBatch& batch, std::span<const RopeFrequencies> frequencies,
                        const LayoutOptions& options, std::int64_t num_computed_tokens) {
  BatchLayout layout;
  layout.mode = options.mode;
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
  std::vector<std::int64_t> last = batch.last;
  for (std::int64_t& token : last) token -= num_computed_tokens;
  fill_tokens({batch.ids.begin() + num_computed_tokens, batch.ids.end()},
              {batch.positions.begin() + num_computed_tokens, batch.positions.end()}, last,
              frequencies, spans, options.device, layout);
  if (options.mode == Mode::kGpu) {
    const auto plan = [&](bool last_rows) {
      return plan_attention(packed_sequences(layout, last_rows), options.attention, options.heads,
                            options.device);
    };
    layout.all_rows = plan(false);
    layout.last_rows = plan(true);
  }
  return layout;
}

BatchLayout make_cached_layout(const CachedBatch& batch, KvCache& cache,
                               std::span<const RopeFrequencies> frequencies,
                               const LayoutOptions& options) {
  BatchLayout layout;
  layout.mode = options.mode;
  layout.cache = &cache;
  std::vector<std::int64_t> ids, last;
  std::vector<float> positions;
  std::vector<RopeSpan> spans;
  for (const CachedTokens& sequence : batch.sequences) {
    const auto begin = static_cast<std::int64_t>(ids.size());
    const auto length = static_cast<std::int64_t>(sequence.ids.size());
    CHARM_CHECK(length > 0, "a sequence without tokens");
    ids.insert(ids.end(), sequence.ids.begin(), sequence.ids.end());
    for (std::int64_t i = 0; i < length; ++i) {
      const std::int64_t position = sequence.first_position + i;
      positions.push_back(static_cast<float>(position));
      spans.push_back({begin + i, 1, std::max(sequence.prompt_length, position + 1)});
    }
    layout.cached.push_back({begin, length, sequence.first_position, sequence.blocks});
    if (!sequence.wants_logits) continue;
    layout.cached_last.push_back({static_cast<std::int64_t>(last.size()), 1,
                                  sequence.first_position + length - 1, sequence.blocks});
    last.push_back(begin + length - 1);
  }
  fill_tokens(ids, positions, last, frequencies, spans, options.device, layout);
  if (options.mode == Mode::kGpu) {
    layout.all_rows = plan_attention(cached_sequences(layout.cached), options.attention,
                                     options.heads, options.device);
    layout.last_rows = plan_attention(cached_sequences(layout.cached_last), options.attention,
                                      options.heads, options.device);
    std::vector<std::int64_t> rows;
    for (const kernels::PagedSequence& sequence : layout.cached) {
      for (const kernels::KeySpan& span : cache_spans(sequence.block_table, sequence.first_position,
                                                      sequence.first_position + sequence.length)) {
        for (std::int64_t i = 0; i < span.length; ++i) rows.push_back(span.begin + i);
      }
    }
    layout.cache_rows_T = to_device(rows, options.device);
  }
  return layout;
}

}  // namespace charm::engine
