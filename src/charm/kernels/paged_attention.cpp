#include <algorithm>
#include <memory>

#include "charm/kernels/attention.h"
#include "charm/kernels/attention_tiles.h"
#include "charm/kernels/thread_pool.h"

namespace charm::kernels {
namespace {

static_assert(kKvBlockTokens == kBlockKeys);

std::int64_t head_words(const PackFormat& format) {
  return format.query_steps() * kBlockKeys + format.block_steps() * format.padded_dim();
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

/// Up to kTileRows rows: tokens of one head, or query heads of one token that share a key head.
struct Tile {
  std::size_t sequence;
  std::int64_t head;       ///< the first
  std::int64_t num_heads;  ///< above 1 for decode: the query heads of one token
  std::int64_t row;        ///< among the sequence's
  std::int64_t num_rows;
};

std::vector<Tile> make_tiles(const std::vector<PagedSequence>& sequences,
                             const AttentionShape& shape) {
  const std::int64_t group = shape.heads / shape.key_heads;
  std::vector<Tile> tiles;
  for (std::size_t s = 0; s < sequences.size(); ++s) {
    if (sequences[s].length == 1) {
      for (std::int64_t key_head = 0; key_head < shape.key_heads; ++key_head) {
        for (std::int64_t at = 0; at < group; at += kTileRows)
          tiles.push_back({s, key_head * group + at, std::min(kTileRows, group - at), 0, 1});
      }
      continue;
    }
    for (std::int64_t head = 0; head < shape.heads; ++head) {
      for (std::int64_t row = 0; row < sequences[s].length; row += kTileRows)
        tiles.push_back({s, head, 1, row, std::min(kTileRows, sequences[s].length - row)});
    }
  }
  return tiles;
}

}  // namespace

template <typename Element>
std::int64_t kv_block_head_words(std::int64_t head_dim) {
  return head_words(pack_format<Element>(head_dim));
}

template <typename Element>
void write_kv_cache(const HeadRows<Element>& k, const HeadRows<Element>& v,
                    const KvCacheLayer& cache, const std::vector<PagedSequence>& sequences,
                    const AttentionShape& shape) {
  const PackFormat format = pack_format<Element>(shape.head_dim);
  const std::int64_t words = head_words(format);
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
  const std::int64_t words = head_words(format);
  const std::int64_t group = shape.heads / shape.key_heads;
  const auto compute = [&](const Tile& tile, TileScratch& scratch) {
    const PagedSequence& sequence = sequences[tile.sequence];
    const std::int64_t row = sequence.begin + tile.row;
    const bool one_token = tile.num_rows == 1;
    TileRows<Element> rows;
    rows.queries = q.data + tile.head * q.head_stride + row * q.row_stride;
    rows.query_stride = one_token ? q.head_stride : q.row_stride;
    rows.count = one_token ? tile.num_heads : tile.num_rows;
    rows.first_position = sequence.first_position + tile.row;
    rows.position_step = one_token ? 0 : 1;
    rows.out = out_QHE + (row * shape.heads + tile.head) * shape.head_dim;
    rows.out_stride = one_token ? shape.head_dim : shape.heads * shape.head_dim;
    attention.start(rows, scratch);
    const std::int64_t num_keys = rows.first_position + tile.num_rows;
    for (std::int64_t at = 0; at * kBlockKeys < num_keys; ++at) {
      PackedBlock block;
      block.keys = cache.data +
                   sequence.block_table[static_cast<std::size_t>(at)] * cache.block_stride +
                   tile.head / group * words;
      block.values = block.keys + format.query_steps() * kBlockKeys;
      block.length = std::min(kBlockKeys, num_keys - at * kBlockKeys);
      block.first = at * kBlockKeys;
      attention.attend(block, scratch);
    }
    attention.finish(rows, scratch);
  };
  const std::vector<Tile> tiles = make_tiles(sequences, shape);
  parallel_for_dynamic(static_cast<std::int64_t>(tiles.size()), [&] {
    return [&, scratch = std::make_unique<TileScratch>(format)](std::int64_t tile) {
      compute(tiles[static_cast<std::size_t>(tile)], *scratch);
    };
  });
}

#define CHARM_CACHED_ATTENTION_FOR(Element)                                                       \
  template std::int64_t kv_block_head_words<Element>(std::int64_t);                               \
  template void write_kv_cache<Element>(const HeadRows<Element>&, const HeadRows<Element>&,       \
                                        const KvCacheLayer&, const std::vector<PagedSequence>&,   \
                                        const AttentionShape&);                                   \
  template void paged_attention<Element>(const HeadRows<Element>&, const KvCacheLayer&, Element*, \
                                         const std::vector<PagedSequence>&,                       \
                                         const AttentionShape&);
CHARM_CACHED_ATTENTION_FOR(float)
CHARM_CACHED_ATTENTION_FOR(BFloat16)
#undef CHARM_CACHED_ATTENTION_FOR

}  // namespace charm::kernels
