#include "charm/torch/tensors.h"

#include <ATen/ops/from_blob.h>

#include <cstddef>
#include <cstring>
#include <vector>

#include "charm/base/check.h"

namespace charm::torch {
namespace {

engine::DType dtype_of(at::ScalarType type) {
  switch (type) {
    case at::kFloat:
      return engine::DType::kFloat32;
    case at::kBFloat16:
      return engine::DType::kBFloat16;
    case at::kHalf:
      return engine::DType::kFloat16;
    case at::kLong:
      return engine::DType::kInt64;
    default:
      break;
  }
  CHARM_CHECK(false, "no tensor of the engine is {}", c10::toString(type));
  return engine::DType::kFloat32;
}

}  // namespace

at::ScalarType scalar_type(engine::DType dtype) {
  switch (dtype) {
    case engine::DType::kFloat32:
      return at::kFloat;
    case engine::DType::kBFloat16:
      return at::kBFloat16;
    case engine::DType::kFloat16:
      return at::kHalf;
    case engine::DType::kInt64:
      return at::kLong;
    default:
      break;
  }
  CHARM_CHECK(false, "a tensor of this dtype has no place in a model");
  return at::kFloat;
}

at::Tensor view_of(const engine::Tensor& tensor) {
  if (!tensor.defined()) return {};
  // The deleter holds the engine's tensor, and with it the memory or the mapped file.
  return at::from_blob(
      const_cast<std::byte*>(tensor.bytes()), tensor.shape(),
      [held = tensor](void*) mutable { held = engine::Tensor(); },
      at::TensorOptions().dtype(scalar_type(tensor.dtype())));
}

engine::Tensor copy_to_host(const at::Tensor& tensor) {
  if (!tensor.defined()) return {};
  const at::Tensor host = tensor.detach().to(at::kCPU).contiguous();
  engine::Tensor copy = engine::Tensor::empty(host.sizes().vec(), dtype_of(host.scalar_type()));
  std::memcpy(copy.mutable_bytes(), host.const_data_ptr(), host.nbytes());
  return copy;
}

}  // namespace charm::torch
