#pragma once

#include <cstdint>
#include <vector>

#include "charm/kernels/attention.h"

namespace charm::kernels {

// H query heads, K key/value heads, E head width, T packed tokens, Q query rows.

/// Tokens per KV-cache block.
inline constexpr std::int64_t kKvBlockTokens = 64;

/// One layer of a paged KV cache, in blocks of kKvBlockTokens tokens. The blocks of a head are
/// stored in the micro-kernel's packed layout, so that decode repacks nothing; block b of head h
/// begins at data + b * block_stride + h * head_words.
struct KvCacheLayer {
  std::uint32_t* data = nullptr;
  std::int64_t block_stride = 0;  ///< words between blocks
};

/// Words of one block of one head: one per float32, one per pair of bfloat16.
template <typename Element>
std::int64_t kv_block_head_words(std::int64_t head_dim);

/// Query rows of one sequence in a forward pass: a prefill chunk or one decode token.
struct PagedSequence {
  std::int64_t begin = 0;  ///< first row
  std::int64_t length = 0;
  std::int64_t first_position = 0;  ///< of the first row in its sequence
  std::vector<std::int32_t>
      block_table;  ///< block ids of the sequence in order, up to the last row's
};

/// Writes K and V of the rows to their positions. Blocks that sequences share must not be written.
template <typename Element>
void write_kv_cache(const HeadRows<Element>& k, const HeadRows<Element>& v,
                    const KvCacheLayer& cache, const std::vector<PagedSequence>& sequences,
                    const AttentionShape& shape);

/// Causal grouped-query attention over a paged KV cache (Kwon et al., PagedAttention, arXiv
/// 2309.06180). Key blocks begin at multiples of kKvBlockTokens from the sequence's start whatever
/// else is in the batch and however the prefill was chunked: a row's bits depend on its sequence
/// alone. Method, accumulation and rounding as in `attention`.
///
/// @param out_QHE  [Q, H*E], contiguous; rows outside the sequences are not written
template <typename Element>
void paged_attention(const HeadRows<Element>& q, const KvCacheLayer& cache, Element* out_QHE,
                     const std::vector<PagedSequence>& sequences, const AttentionShape& shape);

}  // namespace charm::kernels
