#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "charm/engine/block_config.h"
#include "charm/engine/layout.h"
#include "charm/kernels/gemm.h"

namespace charm::engine {

// N rows, I inputs, O outputs, F outputs of gate and up projections.

/// GEMM implementation of a packed linear layer.
enum class GemmBackend {
  kCharm,         ///< ours (kernels/gemm.h)
  kOneDnnPacked,  ///< oneDNN with prepacked weights
  kAtenLinear,    ///< at::linear on the stored layout (MKL for float32, oneDNN for bfloat16)
};

std::string_view gemm_backend_name(GemmBackend backend);

/// True where the CPU has native bfloat16 (AVX512-BF16 or AMX); elsewhere bfloat16 is far slower
/// than float32.
bool has_native_bfloat16();

/// Whether the backend is row-invariant: each row's result is bit-identical whatever its position,
/// the other rows and their number. Tested on this machine with the given weight's shape and dtype.
bool is_row_invariant(GemmBackend backend, const at::Tensor& weight_OI);

/// Fixed M of every library GEMM in inference mode: libraries choose their summation order by M, so
/// a fixed M keeps a row's bits independent of the batch. Missing rows are padded. Our GEMM takes
/// any M.
inline constexpr std::int64_t kGemmRows = 96;

struct Projection;

/// y = x W^T + b. Immutable; safe for concurrent use.
class Linear {
 public:
  Linear() = default;

  /// Uses the given tensors without packing. Gradients flow to x, weight and bias. `bias_O` may be
  /// undefined.
  static Linear plain(at::Tensor weight_OI, at::Tensor bias_O);

  /// Prepacks the weight; keeps no reference to `weight_OI` with kCharm and kOneDnnPacked. No
  /// gradients; CPU only.
  static Linear packed(const at::Tensor& weight_OI, at::Tensor bias_O, GemmBackend backend);

  /// @param x_NI  [N, I] of the weight's dtype
  /// @return      [N, O]
  at::Tensor forward(const at::Tensor& x_NI) const;

 private:
  friend class GatedLinear;
  friend void project(const at::Tensor& x_NI, std::span<const Projection> to);

  at::Tensor weight_;  ///< [O, I], or oneDNN's opaque layout; undefined with kCharm
  at::Tensor bias_;
  std::shared_ptr<const kernels::PackedWeight> packed_weight_;  ///< kCharm
  std::int64_t out_features_ = 0;
  bool packed_ = false;
  GemmBackend backend_ = GemmBackend::kAtenLinear;
};

/// One layer of `project` and its destination.
struct Projection {
  const Linear* linear = nullptr;
  at::Tensor out_NO;  ///< rows contiguous
  bool add = false;   ///< out += result, otherwise out = result
};

/// Applies several packed layers of one backend to the same rows, as one GEMM with kCharm. x's last
/// dimension is contiguous and overlaps no output. No gradients.
void project(const at::Tensor& x_NI, std::span<const Projection> to);

/// activation(x Wg^T + bg) * (x Wu^T + bu): gate and up projections of a gated MLP (SwiGLU /
/// GeGLU). Immutable; safe for concurrent use.
class GatedLinear {
 public:
  GatedLinear() = default;
  static GatedLinear plain(Linear gate, Linear up, Activation activation);
  static GatedLinear packed(const at::Tensor& gate_FI, const at::Tensor& gate_bias_F,
                            const at::Tensor& up_FI, const at::Tensor& up_bias_F,
                            Activation activation, GemmBackend backend);

  /// [N, I] -> [N, F]. Gradients flow in plain form.
  at::Tensor forward(const at::Tensor& x_NI, Mode mode) const;

  /// The same into a given tensor; packed form.
  void forward_into(const at::Tensor& x_NI, at::Tensor& out_NF) const;

  std::int64_t outputs() const { return outputs_; }

 private:
  std::shared_ptr<const kernels::PackedWeight> packed_weight_;  ///< gate and up, with kCharm
  Linear gate_, up_;                                            ///< otherwise
  Activation activation_ = Activation::kSilu;
  std::int64_t outputs_ = 0;
};

}  // namespace charm::engine
