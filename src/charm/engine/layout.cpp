#include "charm/engine/layout.h"

#include <algorithm>

#include "charm/base/check.h"

namespace charm::engine {
namespace {

/// Rows of a tile: few enough that a layer's activations stay in the caches, enough for all threads
/// and for long sums in the weight gradients.
constexpr std::int64_t kTrainingTileRows = 768;

/// Tiles of segments in order; a tile ends at an even offset of a segment, or at its end.
std::vector<RowTile> tiles_of(std::span<const kernels::RowRun> segments) {
  std::vector<RowTile> tiles;
  for (const kernels::RowRun& segment : segments) {
    for (std::int64_t at = 0; at < segment.length;) {
      if (tiles.empty() || tiles.back().count >= kTrainingTileRows - 1)
        tiles.push_back({.begin = segment.begin + at, .count = 0, .runs = {}});
      RowTile& tile = tiles.back();
      const std::int64_t room = (kTrainingTileRows - tile.count) / 2 * 2;
      const std::int64_t length = std::min(room, segment.length - at);
      tile.runs.push_back({tile.count, length});
      tile.count += length;
      at += length;
    }
  }
  return tiles;
}

QueryRows query_rows(const TrainingBatch& batch, BlockRows which) {
  QueryRows rows;
  rows.sequences = attention_sequences(batch, which);
  std::vector<kernels::RowRun> segments;
  for (const kernels::AttentionSequence& s : rows.sequences) {
    segments.push_back({s.query_begin, s.query_length});
    rows.count += s.query_length;
  }
  std::ranges::sort(segments, {}, &kernels::RowRun::begin);
  rows.tiles = tiles_of(segments);
  return rows;
}

BatchLayout layout_of(const PackedBatch& batch, std::span<RopeAngles> angles,
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
    const std::int64_t length = s.sequence_length();
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

}  // namespace

BatchLayout make_layout(const PackedBatch& batch, std::span<RopeAngles> angles,
                        std::int64_t num_computed_tokens) {
  // Length-dependent RoPE: sequences of different lengths cannot share a prompt's K.
  const std::int64_t longest = angles.front().frequencies().fixed_up_to;
  if (!shares_long_prompts(batch, longest)) return layout_of(batch, angles, num_computed_tokens);
  return layout_of(unshare_long_prompts(batch, longest), angles, /*num_computed_tokens=*/0);
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

std::vector<kernels::AttentionSequence> attention_sequences(const BatchLayout& layout,
                                                            BlockRows rows) {
  std::vector<kernels::AttentionSequence> sequences;
  if (rows == BlockRows::kAll) {
    for (const Segment& s : layout.prompts) {
      const kernels::KeySpan suffix{s.response_begin, s.response_length};
      sequences.push_back({suffix.begin - layout.num_computed_tokens, suffix.length,
                           /*query_offset=*/0,
                           /*prefix=*/{}, suffix});
    }
  }
  for (std::size_t i = 0; i < layout.responses.size(); ++i) {
    const Segment& s = layout.responses[i];
    const kernels::KeySpan prefix{s.prompt_begin, s.prompt_length};
    const kernels::KeySpan suffix{s.response_begin, s.response_length};
    if (rows == BlockRows::kAll) {
      sequences.push_back({suffix.begin - layout.num_computed_tokens, suffix.length,
                           /*query_offset=*/0, prefix, suffix});
    } else {
      sequences.push_back(
          {static_cast<std::int64_t>(i), /*query_length=*/1, suffix.length - 1, prefix, suffix});
    }
  }
  return sequences;
}

TrainingBatch make_training_batch(const PackedBatch& batch, std::span<RopeAngles> angles) {
  TrainingBatch result{make_layout(batch, angles), {}, {}};
  result.all = query_rows(result, BlockRows::kAll);
  result.last = query_rows(result, BlockRows::kLast);
  return result;
}

}  // namespace charm::engine
