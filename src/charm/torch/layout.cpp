#include "charm/torch/layout.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/outer.h>

#include <algorithm>
#include <utility>

#include "charm/base/check.h"
#include "charm/torch/host_copy.h"

namespace charm::torch {
namespace {

using engine::Segment;

/// Packed tokens with the RoPE frequencies of a sequence of `length`.
struct RopeSpan {
  std::int64_t begin = 0;
  std::int64_t rows = 0;
  std::int64_t length = 0;
};

RopeTable make_table(const Frequencies& frequencies, const at::Tensor& positions_T,
                     const std::vector<RopeSpan>& spans) {
  // Angles in float32 as transformers computes them (position * inv_freq).
  const at::Tensor angles_TF = at::outer(positions_T, frequencies.inverse_F);
  for (const RopeSpan& s : spans) {
    if (s.length <= frequencies.fixed_up_to) continue;
    angles_TF.narrow(0, s.begin, s.rows)
        .copy_(at::outer(positions_T.narrow(0, s.begin, s.rows), frequencies.of_length(s.length)));
  }
  return {angles_TF.cos() * frequencies.attention_scaling,
          angles_TF.sin() * frequencies.attention_scaling};
}

/// Fills ids, RoPE tables and last rows.
void fill_tokens(const std::vector<std::int64_t>& ids, const std::vector<float>& positions,
                 const std::vector<std::int64_t>& last, std::span<const Frequencies> frequencies,
                 const std::vector<RopeSpan>& spans, const at::Device& device, Layout& layout) {
  layout.num_tokens = static_cast<std::int64_t>(ids.size());
  layout.num_responses = static_cast<std::int64_t>(last.size());
  layout.ids_T = to_device(ids, device);
  layout.last_S = to_device(last, device);
  const at::Tensor positions_T = to_device(positions, device);
  for (const Frequencies& one : frequencies)
    layout.ropes.push_back(make_table(one, positions_T, spans));
}

/// Whether the batch begins with the cached prefix.
bool begins_with(const engine::PackedBatch& batch, const std::vector<std::int32_t>& prefix) {
  return !prefix.empty() && !batch.prompts.empty() && batch.prompts.front().response_begin == 0 &&
         batch.prompts.front().response_length == static_cast<std::int64_t>(prefix.size()) &&
         std::equal(prefix.begin(), prefix.end(), batch.ids.begin());
}

/// The batch's sequences to compute, in order of query rows.
std::vector<VarlenSequence> packed_sequences(const engine::PackedBatch& batch,
                                             std::int64_t num_computed_tokens, bool last_rows) {
  std::vector<VarlenSequence> sequences;
  if (!last_rows) {
    for (const Segment& s : batch.prompts) {
      if (s.response_begin < num_computed_tokens) continue;
      sequences.push_back({s.response_begin - num_computed_tokens,
                           s.response_length,
                           {{s.response_begin, s.response_length}}});
    }
  }
  for (std::size_t i = 0; i < batch.responses.size(); ++i) {
    const Segment& s = batch.responses[i];
    VarlenSequence sequence{
        last_rows ? static_cast<std::int64_t>(i) : s.response_begin - num_computed_tokens,
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

}  // namespace

Layout make_layout(const engine::PackedBatch& batch, std::span<const Frequencies> frequencies,
                   const LayoutOptions& options, PrefixCache* prefix) {
  Layout layout;
  layout.prefix = prefix;
  if (prefix != nullptr && begins_with(batch, prefix->ids))
    layout.num_computed_tokens = static_cast<std::int64_t>(prefix->ids.size());
  if (prefix != nullptr && batch.last_prompt_continues) {
    const Segment& prompt = batch.prompts.back();
    layout.prefix_to_cache_begin = prompt.response_begin;
    const auto begin = batch.ids.begin() + prompt.response_begin;
    layout.prefix_to_cache.assign(begin, begin + prompt.response_length);
  }
  const std::int64_t computed = layout.num_computed_tokens;
  std::vector<RopeSpan> spans;
  for (const Segment& s : batch.responses) {
    const std::int64_t length = s.sequence_length();
    // A cached prompt is short enough for the fixed frequencies.
    if (s.prompt_begin >= computed)
      spans.push_back({s.prompt_begin - computed, s.prompt_length, length});
    spans.push_back({s.response_begin - computed, s.response_length, length});
  }
  std::vector<std::int64_t> last = batch.last;
  for (std::int64_t& token : last) token -= computed;
  fill_tokens({batch.ids.begin() + computed, batch.ids.end()},
              {batch.positions.begin() + computed, batch.positions.end()}, last, frequencies, spans,
              options.device, layout);
  const auto plan = [&](bool last_rows) {
    return plan_attention(packed_sequences(batch, computed, last_rows), options.attention,
                          options.heads, options.device);
  };
  layout.all_rows = plan(/*last_rows=*/false);
  layout.last_rows = plan(/*last_rows=*/true);
  return layout;
}

Layout make_layout(const engine::CachedBatch& batch, std::span<const Frequencies> frequencies,
                   const LayoutOptions& options, KvCache& cache) {
  Layout layout;
  layout.cache = &cache;
  std::vector<std::int64_t> ids, last, rows;
  std::vector<float> positions;
  std::vector<RopeSpan> spans;
  std::vector<VarlenSequence> all_sequences, last_sequences;
  for (const engine::CachedTokens& tokens : batch.sequences) {
    const auto begin = static_cast<std::int64_t>(ids.size());
    const auto length = static_cast<std::int64_t>(tokens.ids.size());
    CHARM_CHECK(length > 0, "a sequence without tokens");
    const std::int64_t end = tokens.first_position + length;
    ids.insert(ids.end(), tokens.ids.begin(), tokens.ids.end());
    for (std::int64_t position = tokens.first_position; position < end; ++position) {
      spans.push_back({static_cast<std::int64_t>(positions.size()), 1,
                       std::max(tokens.prompt_length, position + 1)});
      positions.push_back(static_cast<float>(position));
    }
    for (const kernels::KeySpan& span : cache_spans(tokens.blocks, tokens.first_position, end)) {
      for (std::int64_t i = 0; i < span.length; ++i) rows.push_back(span.begin + i);
    }
    all_sequences.push_back({begin, length, cache_spans(tokens.blocks, 0, end)});
    if (!tokens.wants_logits) continue;
    last_sequences.push_back(
        {static_cast<std::int64_t>(last.size()), 1, all_sequences.back().keys});
    last.push_back(begin + length - 1);
  }
  fill_tokens(ids, positions, last, frequencies, spans, options.device, layout);
  layout.all_rows = plan_attention(all_sequences, options.attention, options.heads, options.device);
  layout.last_rows =
      plan_attention(last_sequences, options.attention, options.heads, options.device);
  layout.cache_rows_T = to_device(rows, options.device);
  return layout;
}

}  // namespace charm::torch
