#pragma once

#include <c10/core/ScalarType.h>

#include <optional>
#include <string_view>

namespace charm::tensor {

/// The torch dtype of a safetensors dtype name; empty for a name the format does not have or torch
/// cannot hold.
std::optional<at::ScalarType> dtype_of_name(std::string_view name);

}  // namespace charm::tensor
