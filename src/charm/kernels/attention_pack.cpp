#include "charm/kernels/attention_pack.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "charm/kernels/thread_pool.h"

namespace charm::kernels {
namespace {

std::int64_t blocks_of(const KeySpan& span) { return (span.length + kBlockKeys - 1) / kBlockKeys; }

std::uint32_t step_of(float v) { return std::bit_cast<std::uint32_t>(v); }
std::uint32_t step_of(BFloat16 v) {
  return static_cast<std::uint32_t>(v.bits) << 16;
}  // widened to float32
std::uint32_t pair_of(BFloat16 low, BFloat16 high) {
  return low.bits | static_cast<std::uint32_t>(high.bits) << 16;
}
std::uint32_t pair_of(float, float) { return 0; }  // float32 is never packed in pairs

}  // namespace

template <typename Element>
PackedSpans<Element>::PackedSpans(const HeadRows<Element>& k, const HeadRows<Element>& v,
                                  std::int64_t key_heads, const PackFormat& format,
                                  const std::vector<KeySpan>& spans, HugePageBuffer& memory)
    : format_(format), spans_(spans) {
  struct Block {
    std::int64_t begin, length;
  };
  std::vector<Block> blocks;
  for (const KeySpan& span : spans_) {
    first_block_.push_back(num_blocks_);
    num_blocks_ += blocks_of(span);
    for (std::int64_t at = 0; at < span.length; at += kBlockKeys) {
      blocks.push_back({span.begin + at, std::min(kBlockKeys, span.length - at)});
    }
  }
  const auto words = static_cast<std::size_t>(key_heads * num_blocks_ * block_size());
  if (memory.size() < words) memory = HugePageBuffer(words);
  std::uint32_t* const packed = memory.data();
  packed_ = packed;
  const std::int64_t dim = format_.head_dim;
  const std::int64_t columns = format_.padded_dim();
  parallel_for_ranges(key_heads * num_blocks_, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t head = i / num_blocks_;
      const Block block = blocks[static_cast<std::size_t>(i % num_blocks_)];
      const auto key = [&](std::int64_t n) {
        return k.data + head * k.head_stride + (block.begin + n) * k.row_stride;
      };
      const auto value = [&](std::int64_t n) {
        return v.data + head * v.head_stride + (block.begin + n) * v.row_stride;
      };
      std::uint32_t* keys = packed + i * block_size();
      std::uint32_t* values = keys + format_.query_steps() * kBlockKeys;
      if (block.length < kBlockKeys || columns != dim) std::fill(keys, keys + block_size(), 0u);
      for (std::int64_t n = 0; n < block.length; ++n) {
        const Element* row = key(n);
        for (std::int64_t e = 0; e < format_.query_steps(); ++e) {
          keys[e * kBlockKeys + n] =
              format_.pairs ? pair_of(row[2 * e], row[2 * e + 1]) : step_of(row[e]);
        }
      }
      if (format_.pairs) {
        for (std::int64_t n = 0; n < block.length; n += 2) {
          const Element* low = value(n);
          const Element* high = n + 1 < block.length ? value(n + 1) : nullptr;
          for (std::int64_t e = 0; e < dim; ++e) {
            values[n / 2 * columns + e] = pair_of(low[e], high != nullptr ? high[e] : Element{});
          }
        }
      } else {
        for (std::int64_t n = 0; n < block.length; ++n) {
          const Element* row = value(n);
          for (std::int64_t e = 0; e < dim; ++e) values[n * columns + e] = step_of(row[e]);
        }
      }
    }
  });
}

template <typename Element>
std::int64_t PackedSpans<Element>::block_size() const {
  return format_.query_steps() * kBlockKeys + format_.block_steps() * format_.padded_dim();
}

template <typename Element>
PackedBlock PackedSpans<Element>::block(std::int64_t key_head, std::size_t span, std::int64_t index,
                                        std::int64_t first) const {
  const std::int64_t at = key_head * num_blocks_ + first_block_[span] + index;
  PackedBlock block;
  block.keys = packed_ + at * block_size();
  block.values = block.keys + format_.query_steps() * kBlockKeys;
  block.length = std::min(kBlockKeys, spans_[span].length - index * kBlockKeys);
  block.first = first + index * kBlockKeys;
  return block;
}

template <typename Element>
void pack_queries(const Element* q, std::int64_t row_stride, std::int64_t rows,
                  const PackFormat& format, std::uint32_t* to) {
  const std::int64_t steps = format.query_steps();
  for (std::int64_t r = 0; r < rows; ++r) {
    const Element* row = q + r * row_stride;
    if (static_cast<std::size_t>(steps) * sizeof(std::uint32_t) ==
        static_cast<std::size_t>(format.head_dim) * sizeof(Element)) {
      std::memcpy(to + r * steps, row,
                  static_cast<std::size_t>(steps) * sizeof(std::uint32_t));  // same layout
      continue;
    }
    for (std::int64_t e = 0; e < steps; ++e) to[r * steps + e] = step_of(row[e]);
  }
  std::fill(to + rows * steps, to + kTileRows * steps, 0u);
}

template class PackedSpans<float>;
template class PackedSpans<BFloat16>;
template void pack_queries<float>(const float*, std::int64_t, std::int64_t, const PackFormat&,
                                  std::uint32_t*);
template void pack_queries<BFloat16>(const BFloat16*, std::int64_t, std::int64_t, const PackFormat&,
                                     std::uint32_t*);

}  // namespace charm::kernels
