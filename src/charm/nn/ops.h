#pragma once

#include <ATen/core/Tensor.h>

#include "charm/nn/layout.h"

namespace charm::nn {

// T rows, D width, H heads, E head width, F = E / 2.

/// Llama's RMS norm: weight * x / sqrt(mean(x^2) + eps), computed in float32, returned in x's dtype.
/// Source: transformers 5.17, LlamaRMSNorm. Gradients flow in autograd mode.
at::Tensor rms_norm(const at::Tensor& x_TD, const at::Tensor& weight_D, double eps, Mode mode);

/// Rotary embedding; token-major [T, H*E] in, head-major [H, T, E] out. Source: transformers 5.17, apply_rotary_pos_emb.
at::Tensor rope_heads(const at::Tensor& x_THE, const at::Tensor& cos_TF, const at::Tensor& sin_TF, std::int64_t heads, Mode mode);

/// Token-major [T, H*E] to head-major [H, T, E] without rotation.
at::Tensor split_heads(const at::Tensor& x_THE, std::int64_t heads);

/// silu(gate) * up. In inference mode the result overwrites `gate_TF`.
at::Tensor silu_mul(const at::Tensor& gate_TF, const at::Tensor& up_TF, Mode mode);

/// Final norm and linear head in float32 whatever x's dtype: [S, D] -> [S] float32.
at::Tensor norm_and_head(const at::Tensor& x_SD, const at::Tensor& norm_weight_D, const at::Tensor& head_1D, double eps, Mode mode);

}  // namespace charm::nn
