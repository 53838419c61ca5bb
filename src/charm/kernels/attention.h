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

/// Rows of gradients: head h of row t begins at data + t * row_stride + h * E.
template <typename Element>
struct GradientRows {
  Element* data = nullptr;
  std::int64_t row_stride = 0;
};

/// Backing memory, reused from call to call.
struct AttentionBackwardMemory {
  HugePageBuffer keys, values, dk, dv;
};

/// What the backward pass of `attention` reads and writes.
template <typename Element>
struct AttentionGradients {
  HeadRows<Element> q, k, v;     ///< as given to `attention`; rows an even number of elements apart
  HeadRows<Element> out, d_out;  ///< its result [Q, H*E] and the gradient of it
  LogSumExp log_sum_exp;         ///< written by `attention`
  GradientRows<Element> dq;      ///< [Q]; rows outside the sequences are not written
  GradientRows<Element> dk, dv;  ///< [T], the first `num_keys` rows: all tokens that the sequences'
                                 ///< keys cover
  std::int64_t num_keys = 0;
};

/// Gradients of `attention` by its queries, keys and values: Dao, FlashAttention-2 (arXiv
/// 2307.08691), algorithm 2; the probabilities are recomputed from the log-sum-exp. With d_i = dO_i
/// . O_i:
///
///     P_ij = exp(s_ij - lse_i);  dP_ij = dO_i . v_j
///
///     dS_ij = P_ij (dP_ij - d_i) ds_ij/d(q_i . k_j)
///
///     dv_j = sum_i P_ij dO_i;  dk_j = sum_i dS_ij q_i;  dq_i = sum_j dS_ij k_j
///
/// Products as in `attention`: float32 accumulation, bfloat16 in pairs with P and dS rounded. A
/// task is one query head of one prompt with its responses, so sums run in one order, whatever the
/// number of threads and the other prompts of the batch. Key/value gradients are summed over the
/// query heads that share them in float32.
template <typename Element>
void attention_backward(const AttentionGradients<Element>& gradients,
                        const std::vector<AttentionSequence>& sequences,
                        const AttentionShape& shape, AttentionBackwardMemory& memory);

}  // namespace charm::kernels
