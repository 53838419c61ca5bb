#pragma once

// Forward declaration of at::Tensor for headers that do not include torch. Sources include
// ATen/core/Tensor.h and single ATen/ops/*.h files.
namespace at {
class Tensor;
}

namespace charm {
using Tensor = at::Tensor;

/// Element types a model may compute in.
enum class DType { kFloat32, kBFloat16 };
/// Where a model computes.
enum class Device { kCpu, kCuda };
}  // namespace charm
