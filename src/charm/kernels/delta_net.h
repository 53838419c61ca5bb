#pragma once

#include <cstdint>
#include <span>

#include "charm/kernels/kernels.h"

// Gated delta net (arXiv 2412.06464): a linear attention layer whose state is a matrix per head.
// T rows, C channels (queries and keys of the key heads, values of the value heads, in this order),
// H value heads, E value width of a head, W taps of the convolution. `Element` is float or
// BFloat16; everything between the projections is float32. A row's bits depend on its own sequence
// alone. Source of the formulas: transformers 5.17, Qwen3_5GatedDeltaNet and
// torch_recurrent_gated_delta_rule, which do the same.
namespace charm::kernels {

/// Consecutive rows of one sequence, with what their sequence left behind before and after them.
template <typename Element>
struct ConvSpan {
  std::int64_t begin = 0;
  std::int64_t length = 0;
  const Element* before = nullptr;  ///< the W-1 rows before, [W-1, C]; null: the sequence begins
  Element* after = nullptr;         ///< gets the last W-1 rows; may be `before`; null: unwanted
};

/// out[t, c] = silu(sum_w weight[w, c] * x[t - W + 1 + w, c]), x being 0 before the sequence.
template <typename Element>
void causal_conv_silu(const Element* x_TC, std::span<const ConvSpan<Element>> spans,
                      const float* weight_WC, std::int64_t taps, std::int64_t channels,
                      float* out_TC);

/// x = factor * x / sqrt(sum(x^2) + 1e-6) of each head in place; rows are `row_stride` apart.
void l2_normalize(float* x, std::int64_t rows, std::int64_t row_stride, std::int64_t heads,
                  std::int64_t head_dim, float factor);

/// decay = exp(-rate * softplus(a + bias)), beta = sigmoid(b).
template <typename Element>
void delta_gates(const Element* a_TH, const Element* b_TH, const float* rate_H, const float* bias_H,
                 std::int64_t rows, std::int64_t heads, float* decay_TH, float* beta_TH);

struct DeltaShape {
  std::int64_t key_heads = 0;
  std::int64_t value_heads = 0;  ///< a multiple of key_heads; consecutive ones share a key head
  std::int64_t key_dim = 0;
  std::int64_t value_dim = 0;

  std::int64_t keys() const { return key_heads * key_dim; }
  std::int64_t values() const { return value_heads * value_dim; }
  std::int64_t channels() const { return 2 * keys() + values(); }
  /// Floats of a sequence's state: a matrix [key_dim, value_dim] per value head.
  std::int64_t state_size() const;
  bool operator==(const DeltaShape&) const = default;
};

/// Consecutive rows of one sequence with its state before and after them.
struct DeltaSpan {
  std::int64_t begin = 0;
  std::int64_t length = 0;
  const float* before = nullptr;  ///< null: zeros, the sequence begins
  float* after = nullptr;         ///< may be `before`; null: unwanted
};

/// Row by row, of each value head with state S, from 0:
///   S = decay S;  S = S + k (beta (v - S^T k))^T;  out = S^T q
/// @param qkv_TC  queries and keys normalised
/// @param out     [T, H * E]
void gated_delta_rule(const float* qkv_TC, const float* decay_TH, const float* beta_TH,
                      std::span<const DeltaSpan> spans, const DeltaShape& shape, float* out_THE);

/// out = weight * x / sqrt(mean(x^2) + eps) * silu(z), of each head; rounded once.
template <typename Element>
void gated_rms_norm(const float* x_NE, const Element* z_NE, const float* weight_E, float eps,
                    std::int64_t rows, std::int64_t width, Element* out_NE);

}  // namespace charm::kernels
