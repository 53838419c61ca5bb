#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "charm/engine/block_workspace.h"
#include "charm/engine/model_config.h"
#include "charm/engine/tensor.h"
#include "charm/kernels/attention.h"
#include "charm/kernels/gemm.h"

// The layers of a block: kernels on tensors.
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

/// x *= factor.
void scale(Tensor& x, float factor);

/// Rows of an embedding in `dtype`, times `factor`.
Tensor embedding_rows(const Tensor& table_VD, std::span<const std::int64_t> rows, float factor,
                      DType dtype);

/// x *= sigmoid(gate), in their type.
void sigmoid_mul(Tensor& x, const Tensor& gate);

/// Copies of the given rows.
Tensor select_rows(const Tensor& x_TD, std::span<const std::int64_t> rows);

/// Rows [T, heads * E] as the attention kernels read them.
template <typename Element>
kernels::HeadRows<Element> head_rows(const Tensor& x_THE, std::int64_t heads) {
  return {x_THE.data<Element>(), x_THE.cols() / heads, x_THE.cols()};
}

kernels::AttentionShape attention_shape(std::int64_t heads, std::int64_t key_heads,
                                        std::int64_t head_dim, const AttentionConfig& config);

// N rows, I inputs, O outputs, F outputs of gate and up projections.

/// True where the CPU has native bfloat16 (AVX512-BF16 or AMX); elsewhere bfloat16 is far slower
/// than float32.
bool has_native_bfloat16();

/// y = x W^T + b on a packed weight; x and y of its type. Immutable; safe for concurrent use.
class Linear {
 public:
  Linear() = default;
  /// Keeps no reference to the tensors. `bias_O` may be undefined.
  static Linear pack(const Tensor& weight_OI, const Tensor& bias_O);

  bool defined() const { return weight_ != nullptr; }
  std::int64_t outputs() const { return weight_->outputs(); }
  const kernels::PackedWeight& weight() const { return *weight_; }

  /// [N, I] -> [N, O].
  Tensor forward(const Tensor& x_NI) const;

 private:
  std::shared_ptr<const kernels::PackedWeight> weight_;
};

/// One layer of `project` and its destination.
struct Projection {
  const Linear* linear = nullptr;
  Tensor out_NO;
  bool add = false;  ///< out += result, otherwise out = result
};

/// Applies several layers to the same rows, as one GEMM. x overlaps no output.
void project(const Tensor& x_NI, std::span<const Projection> to);

/// activation(x Wg^T + bg) * (x Wu^T + bu): gate and up projections of a gated MLP (SwiGLU /
/// GeGLU). Immutable; safe for concurrent use.
class GatedLinear {
 public:
  GatedLinear() = default;
  static GatedLinear pack(const Tensor& gate_FI, const Tensor& gate_bias_F, const Tensor& up_FI,
                          const Tensor& up_bias_F, Activation activation);

  /// [N, I] -> out [N, F].
  void forward(const Tensor& x_NI, Tensor& out_NF) const;

  std::int64_t outputs() const { return weight_->outputs(); }

 private:
  std::shared_ptr<const kernels::PackedWeight> weight_;
  Activation activation_ = Activation::kSilu;
};

// X experts, F width of an expert.

/// SwiGLU / GeGLU: down(activation(gate(x)) * up(x)).
struct GatedMlp {
  GatedLinear gated;
  Linear down;
};

/// A mixture of experts in place of a block's MLP (arXiv 2401.04088). The router computes in
/// float32 whatever the model's dtype: rounded logits would tie. Immutable; safe for concurrent
/// use.
struct Experts {
  kernels::ExpertRouting routing;
  Linear router;  ///< [X, D], float32
  std::vector<GatedMlp> mlps;
};

/// sum_e w_e(x) mlp_e(x) over the experts that the router picks for each row, into `out_TD`, or
/// added to it; `out_TD` may be x itself. A row's bits depend on that row alone.
void mix_experts(const Experts& experts, const Tensor& x_TD, bool add, BlockWorkspace& workspace,
                 Tensor& out_TD);

}  // namespace charm::engine
