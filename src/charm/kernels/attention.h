#pragma once

#include <cstdint>
#include <memory>
#include <vector>

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

/// A range of packed tokens.
struct KeySpan {
  std::int64_t begin = 0;
  std::int64_t length = 0;
};

/// Query rows of one sequence under causal masking: they attend to the whole (shared) prefix and to
/// the suffix up to themselves.
struct AttentionSequence {
  std::int64_t query_begin = 0;  ///< first query row; output rows have the same index
  std::int64_t query_length = 0;
  std::int64_t query_offset = 0;  ///< position of the first query row within the suffix
  KeySpan prefix;                 ///< may be empty
  KeySpan suffix;
};

struct AttentionShape {
  std::int64_t heads = 0;
  std::int64_t key_heads = 0;  ///< query head h uses key head h / (heads / key_heads)
  std::int64_t head_dim = 0;   ///< even
  float scale = 1.0f;          ///< multiplies q.k
  std::int64_t window = 0;     ///< sliding window: a token attends to itself and the window-1
                               ///< positions before it; 0: none
  float softcap = 0.0f;        ///< logits become softcap * tanh(logits / softcap); 0: none
};

/// log2(sum_j exp(s_j)) of the logits of each query row and head, for the backward pass.
struct LogSumExp {
  float* data = nullptr;         ///< [H, Q]; null: not wanted
  std::int64_t head_stride = 0;  ///< elements between heads
};

/// K and V of a layer, packed once for any number of `attention` calls.
template <typename Element>
class PackedKv {
 public:
  /// @param sequences  their prefixes and suffixes are packed; a prefix shared by several sequences
  /// once
  /// @param memory     backing memory, used as long as this object lives; reallocated when too
  /// small
  PackedKv(const HeadRows<Element>& k, const HeadRows<Element>& v,
           const std::vector<AttentionSequence>& sequences, const AttentionShape& shape,
           HugePageBuffer& memory);
  ~PackedKv();

  struct State;
  const State& state() const { return *state_; }

 private:
  std::unique_ptr<State> state_;
};

/// Causal grouped-query attention, softmax(scale q k^T) v, over blocks of keys with an online
/// softmax: Dao et al., FlashAttention (arXiv 2205.14135), algorithm 1; Milakov and Gimelshein
/// (arXiv 1805.02867).
///
/// Accumulates in float32. bfloat16 is multiplied in pairs (kernels/micro_kernel.h), with
/// probabilities rounded to bfloat16 as ATen does. A row's bits depend on its own sequence alone:
/// key blocks start at the starts of prefix and suffix, and no sum runs over rows.
///
/// @param keys       packed from sequences with the same prefixes and suffixes
/// @param sequences  may cover a part of the query rows
/// @param out_QHE    [Q, H*E], contiguous; rows outside the sequences are not written
/// @param log_sum_exp  written where wanted, for the rows of `out_QHE`
template <typename Element>
void attention(const HeadRows<Element>& q, const PackedKv<Element>& keys, Element* out_QHE,
               const std::vector<AttentionSequence>& sequences, const AttentionShape& shape,
               const LogSumExp& log_sum_exp = {});

}  // namespace charm::kernels
