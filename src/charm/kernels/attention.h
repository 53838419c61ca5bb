#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "charm/kernels/big_buffer.h"
#include "charm/kernels/kernels.h"

namespace charm::kernels {

// H query heads, K key/value heads, E head width, T packed tokens, Q query rows.

/// Rows of a tensor [heads, rows, E] whose last dimension is contiguous.
template <typename Element>
struct HeadRows {
  const Element* data = nullptr;
  std::int64_t head_stride = 0;  ///< elements between heads
  std::int64_t row_stride = 0;   ///< elements between rows
};

/// A stretch of packed tokens.
struct KeySpan {
  std::int64_t begin = 0;
  std::int64_t length = 0;
};

/// Query rows of one sequence, and the keys they may see: all of the prompt, and of the sequence's
/// own tokens those up to themselves.
struct AttentionSequence {
  std::int64_t query_begin = 0;  ///< first query row; output rows are the same
  std::int64_t query_length = 0;
  std::int64_t query_offset = 0;  ///< which of the own tokens the first query row is
  KeySpan prompt;                 ///< may be empty
  KeySpan own;
};

struct AttentionShape {
  std::int64_t heads = 0;
  std::int64_t key_heads = 0;  ///< query head h uses key head h / (heads / key_heads)
  std::int64_t head_dim = 0;   ///< even
  float scale = 1.0f;          ///< of the products of queries and keys
  std::int64_t window =
      0;  ///< a token sees itself and the window-1 positions before it; 0: all of them
  float softcap = 0.0f;  ///< logits become softcap * tanh(logits / softcap); 0: as they are
};

/// Keys and values of a layer, reordered once for any number of `attention` calls.
template <typename Element>
class AttentionKeys {
 public:
  /// @param sequences  whose prompts and own tokens are needed; one that several sequences share is
  /// kept once
  /// @param memory     where they lie as long as this object lives; replaced when it is too small
  AttentionKeys(const HeadRows<Element>& k, const HeadRows<Element>& v,
                const std::vector<AttentionSequence>& sequences, const AttentionShape& shape,
                BigBuffer& memory);
  ~AttentionKeys();

  struct State;
  const State& state() const { return *state_; }

 private:
  std::unique_ptr<State> state_;
};

/// Causal grouped-query attention, softmax(scale q k^T) v, over blocks of keys with a running
/// maximum and sum. Source of the method: Dao et al., FlashAttention (arXiv 2205.14135), algorithm
/// 1; Milakov and Gimelshein (arXiv 1805.02867).
///
/// Sums are float32. bfloat16 is multiplied in pairs (kernels/tile_product.h), with probabilities
/// rounded to bfloat16 as ATen does. A row's bits depend on its own sequence alone: key blocks
/// start where the prompt and the own tokens start, and no sum runs over rows.
///
/// @param keys       made of sequences with the same prompts and own tokens
/// @param sequences  may be parts of the query rows
/// @param out_QHE    [Q, H*E], contiguous; rows outside the sequences are left alone
template <typename Element>
void attention(const HeadRows<Element>& q, const AttentionKeys<Element>& keys, Element* out_QHE,
               const std::vector<AttentionSequence>& sequences, const AttentionShape& shape);

}  // namespace charm::kernels
