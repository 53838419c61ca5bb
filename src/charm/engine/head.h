#pragma once

#include <span>
#include <vector>

#include "charm/engine/tensor.h"

namespace charm::engine {

struct DecoderConfig;

// S responses, D model width, I inputs and O outputs of a layer.

/// One linear layer of a reward head, float32.
struct HeadLayer {
  Tensor weight_OI;
  Tensor bias_O;  ///< undefined: none
};

/// One layer: [S, I] -> [S, O], float32.
Tensor head_layer(const HeadLayer& layer, const Tensor& x_SI);

/// Layers with ReLU between them: [S, I] -> [S, outputs], float32.
Tensor head_layers(Tensor x_SI, std::span<const HeadLayer> layers);

// For training.

/// Final norm and head of a reward model, or their gradients; float32.
struct HeadParts {
  Tensor norm_D;
  std::vector<HeadLayer> layers;
};

/// What the head's backward pass reads.
struct HeadActivations {
  std::vector<Tensor> inputs;  ///< of each layer; the first is the final norm's output
  std::vector<float> scores_S;
};

/// Final norm and layers with ReLU between them: [S, D] -> [S].
HeadActivations head_forward(const DecoderConfig& config, const HeadParts& head,
                             const Tensor& x_SD);

/// Adds the head's gradients, summed over responses in their order.
/// @param gradient_S  d loss / d score
/// @return            gradient of x, [S, D]
Tensor head_backward(const DecoderConfig& config, const HeadParts& head, const Tensor& x_SD,
                     const HeadActivations& activations, std::span<const float> gradient_S,
                     HeadParts& gradients);

}  // namespace charm::engine
