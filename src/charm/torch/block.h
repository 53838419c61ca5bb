#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "charm/engine/decoder_weights.h"
#include "charm/engine/model_config.h"
#include "charm/torch/layout.h"
#include "charm/torch/projections.h"
#include "charm/torch/tensors.h"

namespace charm::torch {

// T packed tokens, S responses, D model width, H query heads, K key/value heads, E head width.

/// What a block's weights are for.
enum class Use {
  kInference,  ///< projections of the same rows side by side; the parts are freed
  kTraining,   ///< each tensor as it is stored, with its own gradient
};

/// down(activation(gate(x)) * up(x)).
struct GatedMlp {
  Projections gate_up;
  at::Tensor down_DF, down_bias;
  engine::Activation activation = engine::Activation::kSilu;
};

/// A mixture of experts in place of a block's MLP (arXiv 2401.04088). The router computes in
/// float32 whatever the model's dtype: rounded logits would tie.
struct Experts {
  kernels::ExpertRouting routing;
  at::Tensor router_XD;
  std::vector<GatedMlp> mlps;
};

/// Weights and hyperparameters of a decoder block on a device. Immutable; thread-safe.
struct Block {
  std::size_t layer = 0;  ///< also in the KV cache
  AttentionHeads heads;
  engine::NormConfig norm;
  engine::AttentionConfig attention;
  std::size_t rope = 0;                 ///< index of the layout's RoPE table
  at::Tensor input_norm_D, mlp_norm_D;  ///< before attention, before the MLP
  at::Tensor attention_out_norm_D,
      mlp_out_norm_D;             ///< after them, before the residual add; undefined: none
  at::Tensor q_norm_E, k_norm_E;  ///< QK-norm before RoPE, per head or over all heads; undefined:
                                  ///< none
  Projections qkv;
  at::Tensor o_DHE, o_bias;
  GatedMlp mlp;
  std::optional<Experts> experts;  ///< instead of `mlp`
};

/// Block `layer` of a model.
Block make_block(const engine::DecoderConfig& config, std::size_t layer,
                 const engine::BlockWeights& weights, const Place& place, Use use);

/// norm, attention, (norm,) add, norm, MLP, (norm,) add: some thirty operators for a whole batch,
/// whatever the number of sequences. Norms and RoPE compute in float32 and round once; the residual
/// add is part of the GEMM before it where no norm stands between. K and V go to the layout's
/// cache.
/// @return  [T, D], or [S, D] with BlockRows::kLast. Gradients flow where grad mode is on.
at::Tensor forward(const Block& block, const at::Tensor& x_TD, const Layout& layout,
                   BlockRows rows);

/// RMSNorm: (offset + weight) * x / sqrt(mean(x^2) + eps), computed in float32 where weight and x
/// differ in dtype or an offset is added; in x's dtype. An undefined weight returns x. Source:
/// transformers 5.17, LlamaRMSNorm and Gemma2RMSNorm. Gradients flow.
at::Tensor rms_norm(const at::Tensor& x_TD, const at::Tensor& weight_D,
                    const engine::NormConfig& config);

}  // namespace charm::torch
