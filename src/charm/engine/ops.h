#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "charm/engine/block_config.h"
#include "charm/engine/layout.h"

namespace charm::engine {

// T rows, D width, H heads, E head width, F = R / 2 with R <= E the values of a head that RoPE
// rotates.

/// RMSNorm: (offset + weight) * x / sqrt(mean(x^2) + eps), computed in float32, returned in x's
/// dtype. Source: transformers 5.17, LlamaRMSNorm and Gemma2RMSNorm. Gradients flow in autograd
/// mode.
at::Tensor rms_norm(const at::Tensor& x_TD, const at::Tensor& weight_D, const NormConfig& config,
                    Mode mode);

/// The same in inference mode into a given tensor; `out` may alias x.
void rms_norm_into(const at::Tensor& x_TD, const at::Tensor& weight_D, const NormConfig& config,
                   at::Tensor& out_TD);

/// QK-norm: RMSNorm per head, [T, H*E] with a weight [E], or over all heads with a weight [H*E]. An
/// undefined weight returns x.
at::Tensor rms_norm_heads(const at::Tensor& x_THE, const at::Tensor& weight_E,
                          const NormConfig& config, Mode mode);

/// RoPE in autograd mode; token-major [T, H*E] in, head-major [H, T, E] out. Source: transformers
/// 5.17, apply_rotary_pos_emb. Gradients flow.
at::Tensor rope_heads(const at::Tensor& x_THE, const at::Tensor& cos_TF, const at::Tensor& sin_TF,
                      std::int64_t heads);

/// RoPE in place in inference mode, token-major.
void rope_in_place(at::Tensor& x_THE, const at::Tensor& cos_TF, const at::Tensor& sin_TF,
                   std::int64_t heads);

/// Token-major [T, H*E] to head-major [H, T, E].
at::Tensor split_heads(const at::Tensor& x_THE, std::int64_t heads);

/// SwiGLU / GeGLU: activation(gate) * up. In inference mode the result overwrites `gate_TF`.
at::Tensor gated_mul(const at::Tensor& gate_TF, const at::Tensor& up_TF, Activation activation,
                     Mode mode);

// Fused operators with a hand-written backward (training_ops.cpp), for autograd mode on the CPU:
// one pass over the rows in forward and backward, where ATen's operators would make some fifteen
// with a float32 copy each. Reductions over rows run in blocks of fixed size, so that gradients do
// not depend on the number of threads.

/// Fused `rms_norm`; x float32 or bfloat16, on the CPU. Gradients, with g = dy (offset + w), r = 1
/// / sqrt(mean(x^2) + eps): dx = r g - x r^3 mean(g x), dw = sum over rows of dy x r.
at::Tensor rms_norm_with_backward(const at::Tensor& x_TD, const at::Tensor& weight_D,
                                  const NormConfig& config);

/// Fused RoPE, token-major [T, H*E] in, [T, H, E] out, on the CPU. Its backward applies the inverse
/// rotation.
at::Tensor rope_with_backward(const at::Tensor& x_THE, const at::Tensor& cos_TF,
                              const at::Tensor& sin_TF, std::int64_t heads);

}  // namespace charm::engine
