#pragma once

#include <ATen/core/Tensor.h>

#include "charm/model/model_config.h"

namespace charm::model {

/// Angle per position of each pair of a head: float32 [E/2]. Computed with the operators and in the order of transformers 5.17,
/// modeling_rope_utils.py, because an ulp here grows with the position.
at::Tensor rope_frequencies(const RopeConfig& rope, std::int64_t head_dim);

}  // namespace charm::model
