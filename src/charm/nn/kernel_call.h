#pragma once

#include <ATen/core/Tensor.h>

#include "charm/base/check.h"
#include "charm/kernels/kernels.h"

// The border between tensors and the raw memory of kernels/: dtype and contiguity are checked here, once.
namespace charm::nn {

template <typename Element>
const Element* elements(const at::Tensor& tensor) {
  CHARM_CHECK(tensor.is_contiguous(), "a kernel needs contiguous memory");
  return static_cast<const Element*>(tensor.const_data_ptr());
}

template <typename Element>
Element* mutable_elements(at::Tensor& tensor) {
  CHARM_CHECK(tensor.is_contiguous(), "a kernel needs contiguous memory");
  return static_cast<Element*>(tensor.mutable_data_ptr());
}

/// Calls body(float{}) or body(kernels::BFloat16{}) by the tensor's dtype.
template <typename Body>
void call_for_dtype(const at::Tensor& tensor, const Body& body) {
  if (tensor.scalar_type() == at::kFloat) {
    body(float{});
  } else {
    CHARM_CHECK(tensor.scalar_type() == at::kBFloat16, "kernels know float32 and bfloat16");
    body(kernels::BFloat16{});
  }
}

}  // namespace charm::nn
