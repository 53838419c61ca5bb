#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string_view>

namespace charm::nn {

/// How a packed linear layer multiplies.
enum class GemmBackend {
  kCharm,         ///< our own product (kernels/gemm.h)
  kOneDnnPacked,  ///< weights reordered once by oneDNN
  kAtenLinear,    ///< at::linear on the stored layout (MKL for float32, oneDNN for bfloat16)
};

std::string_view gemm_backend_name(GemmBackend backend);

/// True where the CPU multiplies bfloat16 natively (AVX512-BF16 or AMX); elsewhere bfloat16 is far
/// slower than float32.
bool has_native_bfloat16();

/// Whether this backend gives each row of a product the same bits wherever the row stands, whatever
/// the other rows hold and however many there are. Checked on this machine with a weight of the
/// given one's shape and dtype.
bool is_row_invariant(GemmBackend backend, const at::Tensor& weight_OI);

}  // namespace charm::nn
