#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "charm/nn/attention.h"
#include "charm/nn/block_workspace.h"
#include "charm/nn/layout.h"
#include "charm/nn/linear.h"
#include "charm/nn/ops.h"

namespace charm::nn {

// T packed tokens, S responses, D model width, H query heads, K key/value heads.

/// A block's products in Mode::kGpu: layers that read the same rows are one matrix. An undefined
/// bias is absent.
struct JoinedWeights {
  at::Tensor qkv, qkv_bias;          ///< [(H + 2K)*E, D]: queries, keys, values
  at::Tensor o, o_bias;              ///< [D, H*E]
  at::Tensor gate_up, gate_up_bias;  ///< [2F, D]
  at::Tensor down, down_bias;        ///< [D, F]
  Activation activation = Activation::kSilu;
};

/// What a block is made of. Families differ in these values, not in code.
struct BlockParts {
  std::size_t layer = 0;  ///< its number: which part of a cache is its own
  std::int64_t num_heads = 0;
  std::int64_t num_kv_heads = 0;
  NormRule norm;
  AttentionRule attention;
  std::size_t rope = 0;                 ///< which of the layout's tables turns queries and keys
  at::Tensor input_norm_D, mlp_norm_D;  ///< before attention, before the MLP
  at::Tensor attention_out_norm_D, mlp_out_norm_D;  ///< after them, before the sum; undefined: none
  at::Tensor q_norm_E, k_norm_E;  ///< of each head, before the turn; undefined: none
  Linear q, k, v, o, down;
  GatedLinear gated;     ///< gate, up and the activation
  JoinedWeights joined;  ///< in Mode::kGpu instead of these
};

/// norm, attention, (norm,) add, norm, MLP, (norm,) add. Immutable; safe for concurrent use with a
/// workspace for each caller.
class DecoderBlock {
 public:
  explicit DecoderBlock(BlockParts parts) : parts_(std::move(parts)) {}

  /// @param x_TD  hidden states, model dtype; in the modes without gradients they become the result
  /// with BlockRows::kAll
  /// @return      [T, D], or [S, D] with BlockRows::kLast. Gradients flow in autograd mode.
  at::Tensor forward(at::Tensor x_TD, const BatchLayout& layout, BlockRows rows,
                     BlockWorkspace& workspace) const;

 private:
  at::Tensor attend(const at::Tensor& normed_TD, const BatchLayout& layout, BlockRows rows) const;

  BlockParts parts_;
};

}  // namespace charm::nn
