#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "charm/nn/layout.h"

namespace charm::nn {

// T packed tokens, S responses, H query heads, K key/value heads, E head width.

/// Which rows a block computes.
enum class BlockRows {
  kAll,   ///< every packed token
  kLast,  ///< only each response's last token; keys and values of all tokens are still used
};

/// What families differ in. Source of the formulas: transformers 5.17, eager_attention_forward of modeling_gemma2.py.
struct AttentionRule {
  double scale = 0.0;       ///< of q.k; 0: 1/sqrt(E)
  std::int64_t window = 0;  ///< a token sees itself and the window-1 positions before it; 0: all of them
  double softcap = 0.0;     ///< logits become softcap * tanh(logits / softcap); 0: as they are
};

/// Causal grouped-query attention over packed sequences: a response's tokens see their prompt and their own response up to
/// themselves; no token sees another sequence.
///
/// In inference mode a row's bits depend on its own sequence alone (kernels/attention.h).
///
/// @param q_HTE  [H, T, E], or [H, S, E] with kLast
/// @param k_KTE  [K, T, E]; query head h uses key head h / (H/K)
/// @param v_KTE  [K, T, E]; the last dimension contiguous
/// @return       [T, H*E], or [S, H*E] with kLast. Gradients flow in autograd mode.
at::Tensor attention(const at::Tensor& q_HTE, const at::Tensor& k_KTE, const at::Tensor& v_KTE, const BatchLayout& layout,
                     BlockRows rows, const AttentionRule& rule = {});

}  // namespace charm::nn
