#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>

#include "charm/engine/attention.h"
#include "charm/engine/block_workspace.h"
#include "charm/engine/experts.h"
#include "charm/engine/layout.h"
#include "charm/engine/linear.h"
#include "charm/engine/ops.h"

namespace charm::engine {

// T packed tokens, S responses, D model width, H query heads, K key/value heads.

/// A block's linear layers in Mode::kGpu with fused QKV and fused gate/up projections. An undefined
/// bias is absent.
struct FusedWeights {
  at::Tensor qkv, qkv_bias;          ///< [(H + 2K)*E, D]: queries, keys, values
  at::Tensor o, o_bias;              ///< [D, H*E]
  at::Tensor gate_up, gate_up_bias;  ///< [2F, D]
  at::Tensor down, down_bias;        ///< [D, F]
  Activation activation = Activation::kSilu;
};

/// Weights and hyperparameters of a block. Families differ in these values, not in code.
struct BlockParts {
  std::size_t layer = 0;  ///< layer index, also in the KV cache
  std::int64_t num_heads = 0;
  std::int64_t num_kv_heads = 0;
  std::int64_t head_dim = 0;
  NormConfig norm;
  AttentionConfig attention;
  std::size_t rope = 0;                 ///< index of the layout's RoPE table for q and k
  at::Tensor input_norm_D, mlp_norm_D;  ///< before attention, before the MLP
  at::Tensor attention_out_norm_D,
      mlp_out_norm_D;             ///< after them, before the residual add; undefined: none
  at::Tensor q_norm_E, k_norm_E;  ///< QK-norm before RoPE, per head or, [H*E] and [K*E], over all
                                  ///< heads; undefined: none
  Linear q, k, v, o, down;
  GatedLinear gated;               ///< gate, up and the activation
  std::optional<Experts> experts;  ///< instead of `gated` and `down`, in every mode
  FusedWeights fused;              ///< Mode::kGpu, instead of these
};

/// norm, attention, (norm,) add, norm, MLP, (norm,) add. Immutable; thread-safe with one workspace
/// per caller.
class DecoderBlock {
 public:
  explicit DecoderBlock(BlockParts parts) : parts_(std::move(parts)) {}

  /// @param x_TD  hidden states, model dtype; in the modes without gradients overwritten with the
  /// result for BlockRows::kAll
  /// @return      [T, D], or [S, D] with BlockRows::kLast. Gradients flow in autograd mode.
  at::Tensor forward(at::Tensor x_TD, const BatchLayout& layout, BlockRows rows,
                     BlockWorkspace& workspace) const;

 private:
  at::Tensor attend(const at::Tensor& normed_TD, const BatchLayout& layout, BlockRows rows) const;

  BlockParts parts_;
};

// The block in the modes without gradients, called by `DecoderBlock`. With BlockRows::kAll x_TD is
// overwritten with the result.

/// Mode::kInference, on our kernels. Computes K and V of all tokens first, then everything else in
/// tiles of a few hundred rows, so that beside x, K and V no memory grows with the batch. A row's
/// bits depend on its own sequence alone.
at::Tensor infer_block(const BlockParts& parts, at::Tensor& x_TD, const BatchLayout& layout,
                       BlockRows rows, BlockWorkspace& workspace);

/// Mode::kGpu: about twenty-five operators for a whole batch, whatever the number of sequences.
/// Four GEMMs; residual adds are part of theirs. Norms and RoPE compute in float32 and round once.
at::Tensor gpu_block(const BlockParts& parts, at::Tensor& x_TD, const BatchLayout& layout,
                     BlockRows rows, BlockWorkspace& workspace);

}  // namespace charm::engine
