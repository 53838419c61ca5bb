#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "charm/nn/ops.h"

namespace charm::nn {

// S responses, D model width, K objectives.

/// One linear layer of a reward head. Float32 in inference mode.
struct HeadLayer {
  at::Tensor weight_OI;
  at::Tensor bias_O;  ///< undefined: none
};

/// Layers with ReLU between them: [S, D] -> [S, outputs], float32.
at::Tensor head_layers(at::Tensor x_SD, std::span<const HeadLayer> layers, Mode mode);

/// Final norm and head in float32 whatever x's dtype: [S, D] -> [S] float32. The last layer has a
/// single output. Gradients flow in autograd mode.
at::Tensor norm_and_head(const at::Tensor& x_SD, const at::Tensor& norm_weight_D,
                         std::span<const HeadLayer> layers, const NormConfig& config, Mode mode);

/// Multi-objective head with a gating network that weighs K objectives by the prompt: ArmoRM (arXiv
/// 2406.12845, section 3; its modeling_custom.py). Float32 in inference mode.
struct GatedHead {
  HeadLayer regression;         ///< [K, D]: objective scores of the pooled token
  at::Tensor transform_KK;      ///< multiplies the row vector of objective scores
  std::vector<HeadLayer> gate;  ///< ReLU between them; the last one has K outputs
  at::Tensor gate_scale;        ///< [1]: multiplies the weights
  double temperature = 1.0;     ///< divides the logits before the softmax
};

/// score = sum_k g_k * (r T)_k, with r = regression(norm(x)) of the pooled token and g = scale *
/// softmax(gate(norm(y)) / temperature) of the gate token. Float32 throughout.
/// @param x_SD  hidden states of the pooled tokens, before the final norm
/// @param y_SD  of each response's gate token
/// @return      [S] float32. Gradients flow in autograd mode.
at::Tensor norm_and_gated_head(const at::Tensor& x_SD, const at::Tensor& y_SD,
                               const at::Tensor& norm_weight_D, const GatedHead& head,
                               const NormConfig& config, Mode mode);

}  // namespace charm::nn
