#pragma once

#include <cstdint>
#include <vector>

#include "charm/kernels/attention.h"

namespace charm::kernels {

// H query heads, K key/value heads, E head width, T packed tokens, Q query rows.

/// Tokens of a cache block.
inline constexpr std::int64_t kCacheBlockTokens = 64;

/// One layer's keys and values of a cache, in blocks of kCacheBlockTokens tokens. A block of one
/// head is laid out as the attention products read it, so that nothing is reordered while decoding;
/// block b of head h begins at data + b * block_stride + h * head_words.
struct CacheLayer {
  std::uint32_t* data = nullptr;
  std::int64_t block_stride = 0;  ///< words between blocks
};

/// Words of one block of one head. float32: one word an element; bfloat16: half, where the machine
/// multiplies pairs of them.
template <typename Element>
std::int64_t cache_head_words(std::int64_t head_dim);

/// Tokens of one sequence in a pass over the cache.
struct CachedRows {
  std::int64_t begin = 0;  ///< first row
  std::int64_t length = 0;
  std::int64_t first_position = 0;   ///< of the first row in its sequence
  std::vector<std::int32_t> blocks;  ///< of the sequence, in order, up to the last row's
};

/// Puts keys and values of the rows at their positions. Blocks given to several sequences at once
/// must not be written to.
template <typename Element>
void store_in_cache(const HeadRows<Element>& k, const HeadRows<Element>& v, const CacheLayer& cache,
                    const std::vector<CachedRows>& sequences, const AttentionShape& shape);

/// Causal grouped-query attention, each row over all keys of its sequence up to itself. Blocks of
/// keys begin at multiples of kCacheBlockTokens from the sequence's start whatever is run beside it
/// or in which pieces the sequence was filled: a row's bits depend on its sequence alone. Method,
/// sums and rounding as `attention`.
///
/// @param out_QHE  [Q, H*E], contiguous; rows outside the sequences are left alone
template <typename Element>
void cached_attention(const HeadRows<Element>& q, const CacheLayer& cache, Element* out_QHE,
                      const std::vector<CachedRows>& sequences, const AttentionShape& shape);

}  // namespace charm::kernels
