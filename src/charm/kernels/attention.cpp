#include "charm/kernels/attention.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <optional>
#include <utility>

#include "charm/kernels/attention_pack.h"
#include "charm/kernels/tile_attention.h"

namespace charm::kernels {
namespace {

/// Up to kTileRows query rows of one head of one sequence.
struct Tile {
  std::size_t sequence;
  std::int64_t head;
  std::int64_t first_row;  ///< among the sequence's query rows
};

template <typename Element>
class Attention {
 public:
  Attention(const HeadRows<Element>& q, const HeadRows<Element>& k, const HeadRows<Element>& v, Element* out_QHE,
            const std::vector<AttentionSequence>& sequences, const AttentionShape& shape)
      : tile_attention_(shape), q_(q), out_(out_QHE), sequences_(sequences), shape_(shape) {
    // A prompt that several sequences share is packed once.
    std::map<std::pair<std::int64_t, std::int64_t>, std::size_t> seen;
    std::vector<KeySpan> spans;
    const auto span_of = [&](const KeySpan& span) {
      const auto [at, is_new] = seen.try_emplace({span.begin, span.length}, spans.size());
      if (is_new) spans.push_back(span);
      return at->second;
    };
    for (const AttentionSequence& sequence : sequences) {
      prompt_span_.push_back(span_of(sequence.prompt));
      own_span_.push_back(span_of(sequence.own));
    }
    keys_.emplace(k, v, shape.key_heads, tile_attention_.format(), spans);
  }

  void run() {
    std::vector<Tile> tiles;
    for (std::size_t s = 0; s < sequences_.size(); ++s) {
      for (std::int64_t head = 0; head < shape_.heads; ++head) {
        for (std::int64_t row = 0; row < sequences_[s].query_length; row += kTileRows) tiles.push_back({s, head, row});
      }
    }
    // Tiles differ much in length: threads take the next one when they are done.
    std::atomic<std::size_t> next{0};
    at::parallel_for(0, at::get_num_threads(), 1, [&](std::int64_t, std::int64_t) {
      TileScratch scratch(tile_attention_.format());
      for (std::size_t i = next.fetch_add(1); i < tiles.size(); i = next.fetch_add(1)) compute(tiles[i], scratch);
    });
  }

 private:
  void compute(const Tile& tile, TileScratch& scratch) const {
    const AttentionSequence& sequence = sequences_[tile.sequence];
    const std::int64_t first_query = sequence.query_begin + tile.first_row;
    TileRows<Element> rows;
    rows.queries = q_.data + tile.head * q_.head_stride + first_query * q_.row_stride;
    rows.query_stride = q_.row_stride;
    rows.count = std::min(kTileRows, sequence.query_length - tile.first_row);
    rows.first_position = sequence.prompt.length + sequence.query_offset + tile.first_row;
    rows.out = out_ + (first_query * shape_.heads + tile.head) * shape_.head_dim;
    rows.out_stride = shape_.heads * shape_.head_dim;
    tile_attention_.start(rows, scratch);
    const std::int64_t key_head = tile.head / (shape_.heads / shape_.key_heads);
    const auto span = [&](std::size_t index, const KeySpan& keys, std::int64_t position) {
      for (std::int64_t at = 0; at * kBlockKeys < keys.length; ++at) {
        if (!tile_attention_.attend(keys_->block(key_head, index, at, position), scratch)) return;
      }
    };
    span(prompt_span_[tile.sequence], sequence.prompt, 0);
    span(own_span_[tile.sequence], sequence.own, sequence.prompt.length);
    tile_attention_.finish(rows, scratch);
  }

  TileAttention<Element> tile_attention_;
  HeadRows<Element> q_;
  Element* out_;
  const std::vector<AttentionSequence>& sequences_;
  AttentionShape shape_;
  std::vector<std::size_t> prompt_span_, own_span_;  ///< of each sequence
  std::optional<PackedKeys<Element>> keys_;
};

}  // namespace

template <typename Element>
void attention(const HeadRows<Element>& q, const HeadRows<Element>& k, const HeadRows<Element>& v, Element* out_QHE,
               const std::vector<AttentionSequence>& sequences, const AttentionShape& shape) {
  Attention<Element>(q, k, v, out_QHE, sequences, shape).run();
}

template void attention<float>(const HeadRows<float>&, const HeadRows<float>&, const HeadRows<float>&, float*,
                               const std::vector<AttentionSequence>&, const AttentionShape&);
template void attention<BFloat16>(const HeadRows<BFloat16>&, const HeadRows<BFloat16>&, const HeadRows<BFloat16>&, BFloat16*,
                                  const std::vector<AttentionSequence>&, const AttentionShape&);

}  // namespace charm::kernels
