#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>

namespace charm::tensor {

/// Flat index of the first NaN or infinite element of a contiguous float32, float16 or bfloat16 CPU
/// tensor; empty when all are finite. Reads at memory speed.
std::optional<std::int64_t> find_non_finite(const at::Tensor& values);

}  // namespace charm::tensor
