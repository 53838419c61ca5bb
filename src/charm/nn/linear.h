#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "charm/nn/gemm_backend.h"

namespace charm::nn {

/// Rows of every matrix product in inference mode. GEMM libraries choose their inner order by the row count, so one fixed count
/// keeps a row's bits independent of the batch; 96 rows reached full speed on all shapes tried, and pad little.
inline constexpr std::int64_t kGemmRows = 96;

/// y = x W^T + b. Immutable; safe for concurrent use.
class Linear {
 public:
  Linear() = default;

  /// Uses the given tensors as they are. Gradients flow to x, weight and bias. `bias_O` may be undefined.
  static Linear plain(at::Tensor weight_OI, at::Tensor bias_O);

  /// Reorders the weight for speed; keeps no reference to `weight_OI` with kOneDnnPacked. No gradients; CPU only.
  static Linear packed(const at::Tensor& weight_OI, at::Tensor bias_O, GemmBackend backend);

  /// @param x_NI  [N, I] of the weight's dtype; in packed form N is a multiple of kGemmRows and x is contiguous
  /// @return      [N, O]
  at::Tensor forward(const at::Tensor& x_NI) const;

 private:
  at::Tensor weight_;  ///< [O, I], or oneDNN's opaque layout
  at::Tensor bias_;
  std::int64_t out_features_ = 0;
  bool packed_ = false;
  GemmBackend backend_ = GemmBackend::kAtenLinear;
};

}  // namespace charm::nn
