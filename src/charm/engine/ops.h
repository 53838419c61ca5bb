#pragma once

#include <cstdint>
#include <span>

#include "charm/engine/block_config.h"
#include "charm/engine/tensor.h"
#include "charm/kernels/attention.h"

// The row-wise kernels on tensors.
namespace charm::engine {

// T rows, D width, H heads, E head width, F = R / 2 with R <= E the values of a head that RoPE
// rotates.

/// RMSNorm: (offset + weight) * x / sqrt(mean(x^2) + eps), computed in float32, in x's type.
/// Source: transformers 5.17, LlamaRMSNorm and Gemma2RMSNorm. `out` may share x's elements.
void rms_norm(const Tensor& x_TD, const Tensor& weight_D, const NormConfig& config, Tensor& out_TD);

/// Final norm in front of a head, in float32 whatever x's type.
Tensor rms_norm_float32(const Tensor& x_TD, const Tensor& weight_D, const NormConfig& config);

/// QK-norm in place: RMSNorm per head, [T, H*E] with a weight [E], or over all heads with a weight
/// [H*E]. Nothing with an undefined weight.
void norm_heads(Tensor& x_THE, const Tensor& weight_E, const NormConfig& config);

/// RoPE in place.
void apply_rope(Tensor& x_THE, const Tensor& cos_TF, const Tensor& sin_TF, std::int64_t heads);

/// to += x, in their type.
void add_to(Tensor& to, const Tensor& x);

/// Copies of the given rows.
Tensor select_rows(const Tensor& x_TD, std::span<const std::int64_t> rows);

/// Rows [T, heads * E] as the attention kernels read them.
template <typename Element>
kernels::HeadRows<Element> head_rows(const Tensor& x_THE, std::int64_t heads) {
  return {x_THE.data<Element>(), x_THE.cols() / heads, x_THE.cols()};
}

kernels::AttentionShape attention_shape(std::int64_t heads, std::int64_t key_heads,
                                        std::int64_t head_dim, const AttentionConfig& config);

}  // namespace charm::engine
