#pragma once

#include <ATen/core/Tensor.h>

#include "charm/nn/activation.h"
#include "charm/nn/layout.h"

namespace charm::nn {

// T rows, D width, H heads, E head width, F = E / 2.

/// A norm's constants.
struct NormRule {
  double eps = 1e-6;
  double weight_offset =
      0.0;  ///< added to the weight; 1 in Gemma, whose weights are stored around 0
};

/// RMS norm: (offset + weight) * x / sqrt(mean(x^2) + eps), computed in float32, returned in x's
/// dtype. Source: transformers 5.17, LlamaRMSNorm and Gemma2RMSNorm. Gradients flow in autograd
/// mode.
at::Tensor rms_norm(const at::Tensor& x_TD, const at::Tensor& weight_D, const NormRule& rule,
                    Mode mode);

/// The same in inference mode into given memory; `out` may be x itself.
void rms_norm_into(const at::Tensor& x_TD, const at::Tensor& weight_D, const NormRule& rule,
                   at::Tensor& out_TD);

/// The same on each head by itself: [T, H*E] with a weight [E]. An undefined weight leaves x as it
/// is.
at::Tensor rms_norm_heads(const at::Tensor& x_THE, const at::Tensor& weight_E, const NormRule& rule,
                          Mode mode);

/// Rotary embedding for autograd mode; token-major [T, H*E] in, head-major [H, T, E] out. Source:
/// transformers 5.17, apply_rotary_pos_emb. Gradients flow.
at::Tensor rope_heads(const at::Tensor& x_THE, const at::Tensor& cos_TF, const at::Tensor& sin_TF,
                      std::int64_t heads);

/// Rotary embedding in place for inference mode, token-major.
void rope_in_place(at::Tensor& x_THE, const at::Tensor& cos_TF, const at::Tensor& sin_TF,
                   std::int64_t heads);

/// Token-major [T, H*E] to head-major [H, T, E] without rotation.
at::Tensor split_heads(const at::Tensor& x_THE, std::int64_t heads);

/// activation(gate) * up. In inference mode the result overwrites `gate_TF`.
at::Tensor gated_mul(const at::Tensor& gate_TF, const at::Tensor& up_TF, Activation activation,
                     Mode mode);

}  // namespace charm::nn
