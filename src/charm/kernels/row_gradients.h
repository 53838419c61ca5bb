#pragma once

#include <cstdint>
#include <span>

#include "charm/kernels/kernels.h"

// Backward passes of the row-wise kernels, and the element-wise steps of an optimiser. T rows, D
// width, F width of a gated MLP. Arithmetic is float32, results are rounded once. Sums over rows
// run in the order of the rows, one column at a time: they depend neither on the number of threads
// nor on how rows are divided among calls.
namespace charm::kernels {

/// Rows of a matrix, or of one that lies in a wider one.
template <typename Element>
struct Rows {
  Element* data = nullptr;
  std::int64_t stride = 0;  ///< elements between rows
};

/// RMSNorm's operands. `heads` norms of `width` stand side by side in a row (QK-norm).
template <typename Element>
struct NormRows {
  Rows<const Element> x;   ///< the norm's input
  Rows<const Element> dy;  ///< gradient of its output
  const float* weight = nullptr;
  float weight_offset = 0.0f;
  float eps = 0.0f;
  std::int64_t rows = 0, heads = 1, width = 0;
};

/// RMSNorm as the forward pass of training needs it: float32 weights, strided rows. The rounding is
/// that of `rms_norm`.
template <typename Element>
void rms_norm_rows(const Rows<const Element>& x, const float* weight_D, float weight_offset,
                   float eps, const Rows<Element>& out, std::int64_t rows, std::int64_t heads,
                   std::int64_t width);

/// Gradient of RMSNorm by its input: with g = dy (offset + w), r = 1 / sqrt(mean(x^2) + eps),
///
///     dx = r g - x r^3 mean(g x)
///
/// @param add  dx += that, rounded once; otherwise dx may be dy itself
template <typename Element>
void rms_norm_backward(const NormRows<Element>& norm, const Rows<Element>& dx, bool add);

/// Gradient of RMSNorm by its weight: dw += sum over rows and heads of dy x r.
template <typename Element>
void add_norm_weight_gradient(const NormRows<Element>& norm, float* gradient_D);

/// RoPE as `rope`, or its inverse, on heads that lie in wider rows.
template <typename Element>
void rope_rows(const Rows<Element>& x, const float* cos_TF, const float* sin_TF, std::int64_t rows,
               std::int64_t heads, std::int64_t head_dim, std::int64_t rotary_dim, bool inverse);

/// Gated MLP, hidden = f(gate) * up.
template <typename Element>
void gate_rows(const Element* gate_TF, const Element* up_TF, GateFunction function,
               Element* hidden_TF, std::int64_t rows, std::int64_t width);

/// Its backward: dgate = dh up f'(gate), dup = dh f(gate). Gate's and up's gradients lie side by
/// side in rows of 2F.
template <typename Element>
void gate_backward(const Element* gate_TF, const Element* up_TF, const Element* d_hidden_TF,
                   GateFunction function, Element* d_gate_up_T2F, std::int64_t rows,
                   std::int64_t width);

/// Bias gradient: db += sum over rows of dy.
template <typename Element>
void add_column_sums(const Rows<const Element>& dy, std::int64_t rows, std::int64_t columns,
                     float* gradient);

/// Embedding gradient: dE[ids[t]] += scale * dx[t]; rows with the id `skipped` add nothing.
template <typename Element>
void add_embedding_gradient(std::span<const std::int32_t> ids_T, const Element* dx_TD,
                            std::int64_t width, float scale, std::int32_t skipped,
                            float* gradient_VD);

/// float32 to bfloat16, to nearest even.
void round_elements(const float* from, BFloat16* to, std::int64_t count);

/// sum x^2 in float64; the order depends on `count` alone.
double sum_of_squares(const float* x, std::int64_t count);

struct AdamWStep {
  double learning_rate = 0.0;
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0.0;
  std::int64_t step = 1;  ///< the number of this step, from 1
};

/// One step of AdamW (Loshchilov and Hutter, arXiv 1711.05101) on float32 weights, as
/// torch.optim.AdamW:
///
///     p <- p (1 - lr wd);  m <- b1 m + (1 - b1) g;  v <- b2 v + (1 - b2) g^2
///     p <- p - lr / (1 - b1^t) * m / (sqrt(v / (1 - b2^t)) + eps)
void adamw_step(float* weights, const float* gradient, float* exp_avg, float* exp_avg_sq,
                std::int64_t count, const AdamWStep& step);

}  // namespace charm::kernels
