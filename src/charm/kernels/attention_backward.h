#pragma once

#include <cstdint>
#include <vector>

#include "charm/kernels/attention.h"

namespace charm::kernels {

// H query heads, K key/value heads, E head width, T packed tokens, Q query rows.

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
///     P_ij = exp(s_ij - lse_i);  dP_ij = dO_i . v_j;  dS_ij = P_ij (dP_ij - d_i) ds_ij/d(q_i .
///     k_j) dv_j = sum_i P_ij dO_i;  dk_j = sum_i dS_ij q_i;  dq_i = sum_j dS_ij k_j
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
