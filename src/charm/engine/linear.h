#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "charm/engine/block_config.h"
#include "charm/engine/tensor.h"
#include "charm/kernels/gemm.h"

namespace charm::engine {

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

}  // namespace charm::engine
