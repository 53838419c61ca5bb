#include "charm/kernels/attention.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "charm/kernels/attention_tiles.h"
#include "charm/kernels/thread_pool.h"

namespace charm::kernels {
namespace {

/// Up to kTileRows query rows of one head of one sequence.
struct Tile {
  std::size_t sequence;
  std::int64_t head;
  std::int64_t first_row;  ///< among the sequence's query rows
};

}  // namespace

template <typename Element>
struct PackedKv<Element>::State {
  std::map<std::pair<std::int64_t, std::int64_t>, std::size_t> span_of;  ///< by begin and length
  std::optional<PackedSpans<Element>> packed;
};

template <typename Element>
PackedKv<Element>::PackedKv(const HeadRows<Element>& k, const HeadRows<Element>& v,
                            const std::vector<AttentionSequence>& sequences,
                            const AttentionShape& shape, HugePageBuffer& memory)
    : state_(std::make_unique<State>()) {
  std::vector<KeySpan> spans;
  for (const AttentionSequence& sequence : sequences) {
    for (const KeySpan& span : {sequence.prefix, sequence.suffix}) {
      if (state_->span_of.try_emplace({span.begin, span.length}, spans.size()).second)
        spans.push_back(span);
    }
  }
  state_->packed.emplace(k, v, shape.key_heads, pack_format<Element>(shape.head_dim), spans,
                         memory);
}

template <typename Element>
PackedKv<Element>::~PackedKv() = default;

namespace {

template <typename Element>
class Attention {
 public:
  Attention(const HeadRows<Element>& q, const PackedKv<Element>& keys, Element* out_QHE,
            const std::vector<AttentionSequence>& sequences, const AttentionShape& shape,
            const LogSumExp& log_sum_exp)
      : tile_attention_(shape),
        q_(q),
        keys_(*keys.state().packed),
        out_(out_QHE),
        sequences_(sequences),
        shape_(shape),
        log_sum_exp_(log_sum_exp) {
    for (const AttentionSequence& sequence : sequences) {
      prefix_span_.push_back(
          keys.state().span_of.at({sequence.prefix.begin, sequence.prefix.length}));
      suffix_span_.push_back(
          keys.state().span_of.at({sequence.suffix.begin, sequence.suffix.length}));
    }
  }

  void run() {
    std::vector<Tile> tiles;
    for (std::size_t s = 0; s < sequences_.size(); ++s) {
      for (std::int64_t head = 0; head < shape_.heads; ++head) {
        for (std::int64_t row = 0; row < sequences_[s].query_length; row += kTileRows)
          tiles.push_back({s, head, row});
      }
    }
    parallel_for_dynamic(static_cast<std::int64_t>(tiles.size()), [&] {  // unequal cost
      return [this, &tiles, scratch = std::make_unique<TileScratch>(tile_attention_.format())](
                 std::int64_t tile) { compute(tiles[static_cast<std::size_t>(tile)], *scratch); };
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
    rows.first_position = sequence.prefix.length + sequence.query_offset + tile.first_row;
    rows.out = out_ + (first_query * shape_.heads + tile.head) * shape_.head_dim;
    rows.out_stride = shape_.heads * shape_.head_dim;
    if (log_sum_exp_.data != nullptr)
      rows.log_sum_exp = log_sum_exp_.data + tile.head * log_sum_exp_.head_stride + first_query;
    tile_attention_.start(rows, scratch);
    const std::int64_t key_head = tile.head / (shape_.heads / shape_.key_heads);
    const auto span = [&](std::size_t index, const KeySpan& keys, std::int64_t position) {
      for (std::int64_t at = 0; at * kBlockKeys < keys.length; ++at) {
        if (!tile_attention_.attend(keys_.block(key_head, index, at, position), scratch)) return;
      }
    };
    span(prefix_span_[tile.sequence], sequence.prefix, 0);
    span(suffix_span_[tile.sequence], sequence.suffix, sequence.prefix.length);
    tile_attention_.finish(rows, scratch);
  }

  TileAttention<Element> tile_attention_;
  HeadRows<Element> q_;
  const PackedSpans<Element>& keys_;
  Element* out_;
  const std::vector<AttentionSequence>& sequences_;
  AttentionShape shape_;
  LogSumExp log_sum_exp_;
  std::vector<std::size_t> prefix_span_, suffix_span_;  ///< of each sequence
};

}  // namespace

template <typename Element>
void attention(const HeadRows<Element>& q, const PackedKv<Element>& keys, Element* out_QHE,
               const std::vector<AttentionSequence>& sequences, const AttentionShape& shape,
               const LogSumExp& log_sum_exp) {
  Attention<Element>(q, keys, out_QHE, sequences, shape, log_sum_exp).run();
}

template class PackedKv<float>;
template class PackedKv<BFloat16>;
template void attention<float>(const HeadRows<float>&, const PackedKv<float>&, float*,
                               const std::vector<AttentionSequence>&, const AttentionShape&,
                               const LogSumExp&);
template void attention<BFloat16>(const HeadRows<BFloat16>&, const PackedKv<BFloat16>&, BFloat16*,
                                  const std::vector<AttentionSequence>&, const AttentionShape&,
                                  const LogSumExp&);

}  // namespace charm::kernels
