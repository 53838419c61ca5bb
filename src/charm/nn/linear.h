#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <span>

#include "charm/kernels/gemm.h"
#include "charm/nn/activation.h"
#include "charm/nn/gemm_backend.h"
#include "charm/nn/layout.h"

namespace charm::nn {

// N rows, I inputs, O outputs, F outputs of a gated pair.

/// Rows of every product by a library in inference mode: libraries choose their inner order of
/// summation by the row count, so one fixed count keeps a row's bits independent of the batch.
/// Missing rows are padded. Our own products take any number of rows.
inline constexpr std::int64_t kGemmRows = 96;

struct Projection;

/// y = x W^T + b. Immutable; safe for concurrent use.
class Linear {
 public:
  Linear() = default;

  /// Uses the given tensors as they are. Gradients flow to x, weight and bias. `bias_O` may be
  /// undefined.
  static Linear plain(at::Tensor weight_OI, at::Tensor bias_O);

  /// Reorders the weight for speed; keeps no reference to `weight_OI` with kCharm and
  /// kOneDnnPacked. No gradients; CPU only.
  static Linear packed(const at::Tensor& weight_OI, at::Tensor bias_O, GemmBackend backend);

  /// @param x_NI  [N, I] of the weight's dtype
  /// @return      [N, O]
  at::Tensor forward(const at::Tensor& x_NI) const;

 private:
  friend class GatedLinear;
  friend void project(const at::Tensor& x_NI, std::span<const Projection> to);

  at::Tensor weight_;  ///< [O, I], or oneDNN's opaque layout; undefined with kCharm
  at::Tensor bias_;
  std::shared_ptr<const kernels::PackedWeight> own_;  ///< kCharm
  std::int64_t out_features_ = 0;
  bool packed_ = false;
  GemmBackend backend_ = GemmBackend::kAtenLinear;
};

/// What `project` does with one layer's result.
struct Projection {
  const Linear* linear = nullptr;
  at::Tensor out_NO;  ///< rows contiguous
  bool add = false;   ///< out += result, otherwise out = result
};

/// Applies several packed layers of one kind to the same rows, as one product where the backend is
/// ours. x's last dimension is contiguous and overlaps no output. No gradients.
void project(const at::Tensor& x_NI, std::span<const Projection> to);

/// activation(x Wg^T + bg) * (x Wu^T + bu): the first half of a gated MLP. Immutable; safe for
/// concurrent use.
class GatedLinear {
 public:
  GatedLinear() = default;
  static GatedLinear plain(Linear gate, Linear up, Activation activation);
  static GatedLinear packed(const at::Tensor& gate_FI, const at::Tensor& gate_bias_F,
                            const at::Tensor& up_FI, const at::Tensor& up_bias_F,
                            Activation activation, GemmBackend backend);

  /// [N, I] -> [N, F]. Gradients flow in plain form.
  at::Tensor forward(const at::Tensor& x_NI, Mode mode) const;

  /// The same into given memory; packed form.
  void forward_into(const at::Tensor& x_NI, at::Tensor& out_NF) const;

  std::int64_t outputs() const { return outputs_; }

 private:
  std::shared_ptr<const kernels::PackedWeight> own_;  ///< both layers, with kCharm
  Linear gate_, up_;                                  ///< otherwise
  Activation activation_ = Activation::kSilu;
  std::int64_t outputs_ = 0;
};

}  // namespace charm::nn
