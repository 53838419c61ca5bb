#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "charm/nn/ops.h"

// Operators of autograd mode on the CPU with a backward pass of their own: one pass over the rows
// each way, where ATen's operators would make some fifteen, each with a float32 copy of its own.
// Sums over rows are made in blocks of fixed size, so that gradients do not depend on the number of
// threads.
namespace charm::nn {

// T rows, D width, H heads, E head width, F = E / 2.

/// `rms_norm`; x float32 or bfloat16, on the CPU. Gradients, with g = dy (offset + w), r = 1 /
/// sqrt(mean(x^2) + eps): dx = r g - x r^3 mean(g x), dw = sum over rows of dy x r.
at::Tensor rms_norm_with_backward(const at::Tensor& x_TD, const at::Tensor& weight_D,
                                  const NormRule& rule);

/// Rotary embedding of `rope_heads`, token-major [T, H*E] in, [T, H, E] out, on the CPU. The
/// gradient is turned back.
at::Tensor rope_with_backward(const at::Tensor& x_THE, const at::Tensor& cos_TF,
                              const at::Tensor& sin_TF, std::int64_t heads);

}  // namespace charm::nn
