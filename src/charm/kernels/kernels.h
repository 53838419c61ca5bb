#pragma once

#include <cstdint>

// Row-wise kernels on plain memory. T rows, D width, H heads, E head width. All pointers are to contiguous memory unless a stride
// is named. `Element` is float or BFloat16 (bits of a bfloat16). Arithmetic is float32; bfloat16 results are rounded once, to
// nearest even. Rows are divided among ATen's threads; a row's result does not depend on the division.
namespace charm::kernels {

/// The bits of a bfloat16.
struct BFloat16 {
  std::uint16_t bits;
};

/// Llama's RMS norm: out = weight * x / sqrt(mean(x^2) + eps).
/// Source: transformers 5.17, modeling_llama.py, LlamaRMSNorm. There bfloat16 is rounded once more before the weight; here not.
template <typename Element>
void rms_norm(const Element* x_TD, const Element* weight_D, float eps, Element* out_TD, std::int64_t rows,
              std::int64_t width);

/// Rotary embedding with halves rotated, and the change from token-major to head-major:
/// out[h, t, :] = x[t, h, :] * cos[t, :] + rotate_half(x[t, h, :]) * sin[t, :].
/// cos and sin are float32 [T, E/2] (both halves of a head use the same angles). Source: transformers 5.17, apply_rotary_pos_emb.
template <typename Element>
void rope_heads(const Element* x_THE, const float* cos_TF, const float* sin_TF, Element* out_HTE, std::int64_t rows,
                std::int64_t heads, std::int64_t head_dim);

/// gate = silu(gate) * up, in place; silu(z) = z / (1 + exp(-z)).
template <typename Element>
void silu_mul(Element* gate_TF, const Element* up_TF, std::int64_t rows, std::int64_t width);

/// score[s] = sum_d norm(x[s])[d] * head[d], where norm is the final RMS norm; everything in float32, the sum in float64.
template <typename Element>
void head_rows(const Element* x_SD, const Element* norm_weight_D, float eps, const float* head_D, float* score_S,
               std::int64_t rows, std::int64_t width);

/// Name of the instruction set that was picked at run time ("AVX3", "AVX2", ...).
const char* instruction_set();

}  // namespace charm::kernels
