#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "charm/model/model_config.h"
#include "charm/nn/layout.h"

namespace charm::model {

/// Angle per position of each pair of a head. Computed with the operators and in the order of
/// transformers 5.17, modeling_rope_utils.py, because an ulp here grows with the position.
///
/// Dynamic and longrope: a sequence longer than the original length has frequencies of its own,
/// which depend on its length alone (transformers takes the longest sequence of a batch and, with
/// dynamic, keeps that of the longest it has seen).
nn::RopeFrequencies rope_frequencies(const RopeConfig& rope, std::int64_t head_dim);

}  // namespace charm::model
