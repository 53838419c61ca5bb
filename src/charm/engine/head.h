#pragma once

#include <cstdint>
#include <span>

#include "charm/engine/tensor.h"

namespace charm::engine {

// S responses, I inputs and O outputs of a layer.

/// One linear layer of a reward head, float32.
struct HeadLayer {
  Tensor weight_OI;
  Tensor bias_O;  ///< undefined: none
};

/// One layer: [S, I] -> [S, O], float32.
Tensor head_layer(const HeadLayer& layer, const Tensor& x_SI);

/// Layers with ReLU between them: [S, I] -> [S, outputs], float32.
Tensor head_layers(Tensor x_SI, std::span<const HeadLayer> layers);

}  // namespace charm::engine
