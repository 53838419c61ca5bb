#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace charm::torch {

// T rows, I inputs, O outputs.

/// y = x W^T + b; an undefined bias is absent. Gradients flow.
at::Tensor linear(const at::Tensor& x_TI, const at::Tensor& weight_OI, const at::Tensor& bias_O);

/// Linear layers of the same rows: stored side by side in one weight (one GEMM), or apart, each
/// with its own gradient.
class Projections {
 public:
  Projections() = default;

  /// @param weights  one for each of `outputs`, or a single one of all
  /// @param biases   as the weights; undefined: none
  Projections(std::vector<at::Tensor> weights, std::vector<at::Tensor> biases,
              std::vector<std::int64_t> outputs);

  /// Side by side: for inference. Frees the parts.
  void fuse();

  /// All layers' outputs; views of one tensor where they are stored side by side.
  std::vector<at::Tensor> forward(const at::Tensor& x_TI) const;

  /// Layers `begin` .. `end` alone.
  std::vector<at::Tensor> forward(const at::Tensor& x_TI, std::size_t begin, std::size_t end) const;

 private:
  std::vector<at::Tensor> weights_, biases_;
  std::vector<std::int64_t> outputs_;
};

}  // namespace charm::torch
