#pragma once

#include <cstdint>
#include <vector>

#include "charm/kernels/attention.h"
#include "charm/kernels/kernels.h"
#include "charm/kernels/online_softmax.h"

namespace charm::kernels {

/// Layout of the micro-kernel's operands: one float32 per step, or two bfloat16.
struct PackFormat {
  bool pairs = false;
  std::int64_t head_dim = 0;
  std::int64_t query_steps() const { return pairs ? head_dim / 2 : head_dim; }
  std::int64_t value_steps(std::int64_t keys) const { return pairs ? (keys + 1) / 2 : keys; }
  std::int64_t block_steps() const { return value_steps(kBlockKeys); }
  std::int64_t padded_dim() const {
    return (head_dim + kMicroColumns - 1) / kMicroColumns * kMicroColumns;
  }
};

/// Packed K and V of a batch's spans in the caller's memory, in blocks that start at the span's
/// start; the last block is zero-padded.
template <typename Element>
class PackedSpans {
 public:
  PackedSpans(const HeadRows<Element>& k, const HeadRows<Element>& v, std::int64_t key_heads,
              const PackFormat& format, const std::vector<KeySpan>& spans, HugePageBuffer& memory);

  /// @param first  position of the span's first key in the attending sequence
  PackedBlock block(std::int64_t key_head, std::size_t span, std::int64_t index,
                    std::int64_t first) const;

 private:
  std::int64_t block_size() const;

  PackFormat format_;
  std::int64_t num_blocks_ = 0;  ///< per head
  std::vector<KeySpan> spans_;
  std::vector<std::int64_t> first_block_;  ///< of each span
  const std::uint32_t* packed_ = nullptr;  ///< [key_heads][num_blocks][keys, then values]
};

/// Packs query rows, zero-padded from `rows` to kTileRows. `to` is [kTileRows][query_steps].
template <typename Element>
void pack_queries(const Element* q, std::int64_t row_stride, std::int64_t rows,
                  const PackFormat& format, std::uint32_t* to);

}  // namespace charm::kernels
