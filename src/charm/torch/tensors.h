#pragma once

#include <ATen/core/Tensor.h>

#include <functional>

#include "charm/engine/tensor.h"

// Between the engine's tensors and ATen's.
namespace charm::torch {

at::ScalarType scalar_type(engine::DType dtype);

/// The engine tensor's memory as an ATen tensor on the CPU, which keeps it alive. Not to be
/// written: it may be a mapped file. Undefined for an undefined tensor.
at::Tensor view_of(const engine::Tensor& tensor);

/// A copy on the host; kInternal for dtypes that the engine has not.
engine::Tensor copy_to_host(const at::Tensor& tensor);

/// Where a model's stored tensor is: makes it, or finds it. In float32 if asked, otherwise in the
/// model's dtype. Undefined for an undefined tensor.
using Place = std::function<at::Tensor(const engine::Tensor& stored, bool float32)>;

}  // namespace charm::torch
