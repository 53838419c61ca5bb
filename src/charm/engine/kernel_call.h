#pragma once

#include <ATen/core/Tensor.h>

#include <cmath>

#include "charm/base/check.h"
#include "charm/engine/block_config.h"
#include "charm/kernels/attention.h"
#include "charm/kernels/kernels.h"

// From tensors to the raw memory of kernels/: dtype and contiguity are checked here, once.
namespace charm::engine {

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
    CHARM_CHECK(tensor.scalar_type() == at::kBFloat16, "kernels support float32 and bfloat16");
    body(kernels::BFloat16{});
  }
}

/// Rows of a tensor [heads, rows, E].
template <typename Element>
kernels::HeadRows<Element> head_rows(const at::Tensor& t_HTE) {
  CHARM_CHECK(t_HTE.stride(2) == 1, "attention needs contiguous heads");
  return {static_cast<const Element*>(t_HTE.const_data_ptr()), t_HTE.stride(0), t_HTE.stride(1)};
}

inline kernels::AttentionShape attention_shape(std::int64_t heads, std::int64_t key_heads,
                                               std::int64_t head_dim,
                                               const AttentionConfig& config) {
  const double scale =
      config.scale == 0.0 ? 1.0 / std::sqrt(static_cast<double>(head_dim)) : config.scale;
  return {.heads = heads,
          .key_heads = key_heads,
          .head_dim = head_dim,
          .scale = static_cast<float>(scale),
          .window = config.window,
          .softcap = static_cast<float>(config.softcap)};
}

}  // namespace charm::engine
