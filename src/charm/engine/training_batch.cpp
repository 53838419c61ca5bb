#include "charm/engine/training_batch.h"

#include <algorithm>

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

QueryRows all_rows(const PackedBatch& batch) {
  QueryRows rows;
  std::vector<kernels::RowRun> segments;
  for (const Segment& s : batch.prompts) {
    const kernels::KeySpan suffix{s.response_begin, s.response_length};
    rows.sequences.push_back({suffix.begin, suffix.length, /*query_offset=*/0, {}, suffix});
    segments.push_back({suffix.begin, suffix.length});
  }
  for (const Segment& s : batch.responses) {
    const kernels::KeySpan prefix{s.prompt_begin, s.prompt_length};
    const kernels::KeySpan suffix{s.response_begin, s.response_length};
    rows.sequences.push_back({suffix.begin, suffix.length, /*query_offset=*/0, prefix, suffix});
    segments.push_back({suffix.begin, suffix.length});
  }
  std::sort(segments.begin(), segments.end(),
            [](const auto& a, const auto& b) { return a.begin < b.begin; });
  rows.tiles = tiles_of(segments);
  rows.count = batch.num_tokens();
  return rows;
}

QueryRows last_rows(const PackedBatch& batch) {
  QueryRows rows;
  std::vector<kernels::RowRun> segments;
  for (const Segment& s : batch.responses) {
    const kernels::KeySpan prefix{s.prompt_begin, s.prompt_length};
    const kernels::KeySpan suffix{s.response_begin, s.response_length};
    rows.sequences.push_back({rows.count, /*query_length=*/1, suffix.length - 1, prefix, suffix});
    segments.push_back({rows.count++, 1});
  }
  rows.tiles = tiles_of(segments);
  return rows;
}

}  // namespace

TrainingBatch make_training_batch(const PackedBatch& given, std::span<RopeAngles> angles) {
  const std::int64_t longest = angles.front().frequencies().fixed_up_to;
  const bool shared =
      std::all_of(given.responses.begin(), given.responses.end(), [&](const Segment& s) {
        return s.prompt_length == 0 || s.prompt_length + s.response_length <= longest;
      });
  const PackedBatch batch = shared ? given : unshare_long_prompts(given, longest);
  TrainingBatch result;
  result.ids_T = batch.ids;
  result.last_S = batch.last;
  result.ropes = make_layout(batch, angles).ropes;
  result.all = all_rows(batch);
  result.last = last_rows(batch);
  return result;
}

}  // namespace charm::engine
