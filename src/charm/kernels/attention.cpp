#include "charm/kernels/attention.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "charm/kernels/attention_tiles.h"
#include "charm/kernels/thread_pool.h"

// Attention over the keys of a batch, and over a paged KV cache.
namespace charm::kernels {
namespace {

static_assert(kKvBlockTokens == kBlockKeys);

/// Up to kTileRows rows: tokens of one head, or query heads of one token that share a key head.
struct Tile {
  std::size_t sequence;
  std::int64_t head;       ///< the first
  std::int64_t num_heads;  ///< above 1: the query heads of one token
  std::int64_t row;        ///< among the sequence's query rows
  std::int64_t num_rows;
};

/// Tiles of one head each.
void add_tiles(std::size_t sequence, std::int64_t rows, const AttentionShape& shape,
               std::vector<Tile>& tiles) {
  for (std::int64_t head = 0; head < shape.heads; ++head) {
    for (std::int64_t row = 0; row < rows; row += kTileRows)
      tiles.push_back({sequence, head, 1, row, std::min(kTileRows, rows - row)});
  }
}

/// Tiles of one token.
void add_token_tiles(std::size_t sequence, const AttentionShape& shape, std::vector<Tile>& tiles) {
  const std::int64_t group = shape.heads / shape.key_heads;
  for (std::int64_t key_head = 0; key_head < shape.key_heads; ++key_head) {
    for (std::int64_t at = 0; at < group; at += kTileRows)
      tiles.push_back({sequence, key_head * group + at, std::min(kTileRows, group - at), 0, 1});
  }
}

/// The rows of a tile whose first is `row` of the batch.
template <typename Element>
TileRows<Element> rows_of(const Tile& tile, std::int64_t row, std::int64_t first_position,
                          const HeadRows<Element>& q, const AttentionShape& shape,
                          Element* out_QHE) {
  const bool one_token = tile.num_rows == 1;
  TileRows<Element> rows;
  rows.queries = q.data + tile.head * q.head_stride + row * q.row_stride;
  rows.query_stride = one_token ? q.head_stride : q.row_stride;
  rows.count = one_token ? tile.num_heads : tile.num_rows;
  rows.first_position = first_position;
  rows.position_step = one_token ? 0 : 1;
  rows.out = out_QHE + (row * shape.heads + tile.head) * shape.head_dim;
  rows.out_stride = one_token ? shape.head_dim : shape.heads * shape.head_dim;
  return rows;
}

/// compute(tile, scratch), in parallel: tiles are of unequal cost.
template <typename Compute>
void for_tiles(const std::vector<Tile>& tiles, const PackFormat& format, const Compute& compute) {
  parallel_for_dynamic(static_cast<std::int64_t>(tiles.size()), [&] {
    return [&, scratch = std::make_unique<TileScratch>(format)](std::int64_t tile) {
      compute(tiles[static_cast<std::size_t>(tile)], *scratch);
    };
  });
}

void write_value(const float* row, std::int64_t n, const PackFormat& format,
                 std::uint32_t* values) {
  pack_step(row, nullptr, format.head_dim, values + n * format.padded_dim());
}
/// A word holds the values of two adjacent tokens; only this token's half is written.
void write_value(const BFloat16* row, std::int64_t n, const PackFormat& format,
                 std::uint32_t* values) {
  std::uint32_t* pairs = values + n / 2 * format.padded_dim();
  const int shift = n % 2 == 0 ? 0 : 16;
  const std::uint32_t kept = 0xffff0000u >> shift;
  for (std::int64_t e = 0; e < format.head_dim; ++e)
    pairs[e] = (pairs[e] & kept) | static_cast<std::uint32_t>(row[e].bits) << shift;
}

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

template <typename Element>
void attention(const HeadRows<Element>& q, const PackedKv<Element>& keys, Element* out_QHE,
               const std::vector<AttentionSequence>& sequences, const AttentionShape& shape,
               const LogSumExp& log_sum_exp) {
  const TileAttention<Element> attention(shape);
  const auto compute = [&](const Tile& tile, TileScratch& scratch) {
    const AttentionSequence& sequence = sequences[tile.sequence];
    const std::int64_t row = sequence.query_begin + tile.row;
    TileRows<Element> rows = rows_of(
        tile, row, sequence.prefix.length + sequence.query_offset + tile.row, q, shape, out_QHE);
    if (log_sum_exp.data != nullptr)
      rows.log_sum_exp = log_sum_exp.data + tile.head * log_sum_exp.head_stride + row;
    attention.start(rows, scratch);
    const std::int64_t key_head = tile.head / (shape.heads / shape.key_heads);
    const auto attend = [&](const KeySpan& span, std::int64_t position) {
      const std::size_t index = keys.state().span_of.at({span.begin, span.length});
      for (std::int64_t at = 0; at * kBlockKeys < span.length; ++at) {
        const PackedBlock block = keys.state().packed->block(key_head, index, at, position);
        if (!attention.attend(block, scratch)) return;
      }
    };
    attend(sequence.prefix, 0);
    attend(sequence.suffix, sequence.prefix.length);
    attention.finish(rows, scratch);
  };
  std::vector<Tile> tiles;
  for (std::size_t s = 0; s < sequences.size(); ++s)
    add_tiles(s, sequences[s].query_length, shape, tiles);
  for_tiles(tiles, attention.format(), compute);
}

template <typename Element>
std::int64_t kv_block_head_words(std::int64_t head_dim) {
  return pack_format<Element>(head_dim).block_words();
}

template <typename Element>
void write_kv_cache(const HeadRows<Element>& k, const HeadRows<Element>& v,
                    const KvCacheLayer& cache, const std::vector<PagedSequence>& sequences,
                    const AttentionShape& shape) {
  const PackFormat format = pack_format<Element>(shape.head_dim);
  const std::int64_t words = format.block_words();
  const auto num_sequences = static_cast<std::int64_t>(sequences.size());
  // One thread writes a sequence: adjacent tokens share words.
  parallel_for_ranges(
      num_sequences * shape.key_heads, 16, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) {
          const PagedSequence& rows = sequences[static_cast<std::size_t>(i / shape.key_heads)];
          const std::int64_t head = i % shape.key_heads;
          for (std::int64_t r = 0; r < rows.length; ++r) {
            const std::int64_t position = rows.first_position + r;
            const std::int64_t block =
                rows.block_table[static_cast<std::size_t>(position / kBlockKeys)];
            std::uint32_t* keys = cache.data + block * cache.block_stride + head * words;
            const std::int64_t n = position % kBlockKeys;
            const Element* key = k.data + head * k.head_stride + (rows.begin + r) * k.row_stride;
            for (std::int64_t e = 0; e < format.query_steps(); ++e)
              keys[e * kBlockKeys + n] = step_of(key, e);
            write_value(v.data + head * v.head_stride + (rows.begin + r) * v.row_stride, n, format,
                        keys + format.query_steps() * kBlockKeys);
          }
        }
      });
}

template <typename Element>
void paged_attention(const HeadRows<Element>& q, const KvCacheLayer& cache, Element* out_QHE,
                     const std::vector<PagedSequence>& sequences, const AttentionShape& shape) {
  const TileAttention<Element> attention(shape);
  const PackFormat& format = attention.format();
  const std::int64_t group = shape.heads / shape.key_heads;
  const auto compute = [&](const Tile& tile, TileScratch& scratch) {
    const PagedSequence& sequence = sequences[tile.sequence];
    const TileRows<Element> rows = rows_of(tile, sequence.begin + tile.row,
                                           sequence.first_position + tile.row, q, shape, out_QHE);
    attention.start(rows, scratch);
    const std::int64_t num_keys = rows.first_position + tile.num_rows;
    for (std::int64_t at = 0; at * kBlockKeys < num_keys; ++at) {
      PackedBlock block;
      block.keys = cache.data +
                   sequence.block_table[static_cast<std::size_t>(at)] * cache.block_stride +
                   tile.head / group * format.block_words();
      block.values = block.keys + format.query_steps() * kBlockKeys;
      block.length = std::min(kBlockKeys, num_keys - at * kBlockKeys);
      block.first = at * kBlockKeys;
      attention.attend(block, scratch);
    }
    attention.finish(rows, scratch);
  };
  std::vector<Tile> tiles;
  for (std::size_t s = 0; s < sequences.size(); ++s) {
    if (sequences[s].length == 1) {
      add_token_tiles(s, shape, tiles);
    } else {
      add_tiles(s, sequences[s].length, shape, tiles);
    }
  }
  for_tiles(tiles, format, compute);
}

#define CHARM_ATTENTION_FOR(Element)                                                              \
  template class PackedKv<Element>;                                                               \
  template void attention<Element>(const HeadRows<Element>&, const PackedKv<Element>&, Element*,  \
                                   const std::vector<AttentionSequence>&, const AttentionShape&,  \
                                   const LogSumExp&);                                             \
  template std::int64_t kv_block_head_words<Element>(std::int64_t);                               \
  template void write_kv_cache<Element>(const HeadRows<Element>&, const HeadRows<Element>&,       \
                                        const KvCacheLayer&, const std::vector<PagedSequence>&,   \
                                        const AttentionShape&);                                   \
  template void paged_attention<Element>(const HeadRows<Element>&, const KvCacheLayer&, Element*, \
                                         const std::vector<PagedSequence>&,                       \
                                         const AttentionShape&);
CHARM_ATTENTION_FOR(float)
CHARM_ATTENTION_FOR(BFloat16)
#undef CHARM_ATTENTION_FOR

}  // namespace charm::kernels
