#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "charm/engine/block_config.h"
#include "charm/engine/layout.h"

namespace charm::engine {

// T packed tokens, S responses, H query heads, K key/value heads, E head width.

/// Rows that a block outputs.
enum class BlockRows {
  kAll,   ///< every packed token
  kLast,  ///< only each response's last token; K and V of all tokens are still computed
};

/// Causal grouped-query attention over packed sequences, in autograd mode: a response's tokens
/// attend to their prompt and to their own response up to themselves, never to another sequence.
/// (engine/inference_block.cpp does the same with kernels/attention.h.)
///
/// @param q_HTE  [H, T, E], or [H, S, E] with kLast
/// @param k_KTE  [K, T, E]; query head h uses key head h / (H/K)
/// @param v_KTE  [K, T, E]; the last dimension contiguous
/// @return       [T, H*E], or [S, H*E] with kLast. Gradients flow.
at::Tensor attention(const at::Tensor& q_HTE, const at::Tensor& k_KTE, const at::Tensor& v_KTE,
                     const BatchLayout& layout, BlockRows rows, const AttentionConfig& config = {});

/// Scaled dot-product attention of one sequence: R query rows, the last of L tokens. Gradients
/// flow.
///
/// @param q_1HRE  [1, H, R, E]
/// @param k_1KLE  [1, K, L, E]
/// @param v_1KLE  [1, K, L, E]
/// @return        [1, H, R, E]
at::Tensor attend_sequence(const at::Tensor& q_1HRE, const at::Tensor& k_1KLE,
                           const at::Tensor& v_1KLE, const AttentionConfig& config);

}  // namespace charm::engine
