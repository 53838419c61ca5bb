#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "charm/engine/ops.h"

namespace charm::engine {

// S responses, D model width.

/// One linear layer of a reward head. Float32 in inference mode.
struct HeadLayer {
  at::Tensor weight_OI;
  at::Tensor bias_O;  ///< undefined: none
};

/// One layer: [S, I] -> [S, outputs], float32.
at::Tensor head_layer(const HeadLayer& layer, const at::Tensor& x_SI, Mode mode);

/// Layers with ReLU between them: [S, D] -> [S, outputs], float32.
at::Tensor head_layers(at::Tensor x_SD, std::span<const HeadLayer> layers, Mode mode);

/// Final norm and head in float32 whatever x's dtype: [S, D] -> [S] float32. The last layer has a
/// single output. Gradients flow in autograd mode.
at::Tensor norm_and_head(const at::Tensor& x_SD, const at::Tensor& norm_weight_D,
                         std::span<const HeadLayer> layers, const NormConfig& config, Mode mode);

}  // namespace charm::engine
