#pragma once

#include <cstring>
#include <numeric>
#include <utility>
#include <vector>

#include "charm/engine/tensor.h"

// Tensors for tests.
namespace charm::test {

inline engine::Tensor filled(const engine::Tensor::Shape& shape, float value,
                             engine::DType dtype = engine::DType::kFloat32) {
  std::int64_t count = 1;
  for (const std::int64_t extent : shape) count *= extent;
  const std::vector<float> values(static_cast<std::size_t>(count), value);
  return engine::Tensor::of(values, shape).to(dtype);
}

inline engine::Tensor ones(const engine::Tensor::Shape& shape,
                           engine::DType dtype = engine::DType::kFloat32) {
  return filled(shape, 1.0F, dtype);
}

/// 0, 1, 2, ... in this shape.
inline engine::Tensor counting(const engine::Tensor::Shape& shape) {
  engine::Tensor tensor = filled(shape, 0.0F);
  float* values = tensor.mutable_data<float>();
  std::iota(values, values + tensor.numel(), 0.0F);
  return tensor;
}

/// The same shape, type and bytes.
inline bool equal(const engine::Tensor& a, const engine::Tensor& b) {
  return a.shape() == b.shape() && a.dtype() == b.dtype() &&
         std::memcmp(a.bytes(), b.bytes(), a.nbytes()) == 0;
}

}  // namespace charm::test
