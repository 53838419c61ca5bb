#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "charm/engine/gated_head.h"
#include "charm/engine/model_config.h"
#include "charm/torch/tensors.h"

namespace charm::torch {

// S responses, D model width, K objectives, Q outputs of an objective.

/// One linear layer of a reward head; computes in float32.
struct HeadLayer {
  at::Tensor weight_OI;
  at::Tensor bias_O;  ///< undefined: none
};

/// Batch normalisation in eval mode, after a hidden layer's activation: x * scale + shift.
struct HeadBatchNorm {
  at::Tensor scale_H, shift_H;  ///< undefined: none
};

/// Layers of a head with activations, and perhaps batch normalisation, between them.
struct HeadNetwork {
  std::vector<HeadLayer> layers;
  std::vector<HeadBatchNorm> norms;  ///< of each layer; empty: none
  engine::HeadActivation activation = engine::HeadActivation::kRelu;
};

/// A head with several objectives, weighed by a gating network (engine/gated_head.h).
struct GatedHead {
  HeadNetwork rewards;  ///< [K * Q] outputs at the pooled token
  engine::ObjectiveReward reward = engine::ObjectiveReward::kOutput;
  at::Tensor transform_KK;  ///< multiplies the row vector of rewards; undefined: none
  HeadNetwork gate;         ///< K outputs at the gate token
  bool softmax = true;      ///< of the gate's outputs over `temperature`
  double temperature = 1.0;
  at::Tensor gate_scale;  ///< multiplies the weights; undefined: 1
};

/// The layers of a model's head on a device.
std::vector<HeadLayer> make_head(const std::vector<engine::HeadLayer>& layers, const Place& place);

GatedHead make_gated_head(const engine::GatedHead& head, const Place& place);

/// Final norm and layers with ReLU between them, in float32 whatever x's dtype: [S, D] -> [S]. The
/// last layer has a single output. Gradients flow.
at::Tensor norm_and_head(const at::Tensor& x_SD, const at::Tensor& norm_weight_D,
                         const std::vector<HeadLayer>& layers, const engine::NormConfig& config);

/// score = sum_k g_k * (r T)_k, with r = rewards(norm(x)) of the pooled token and g = scale *
/// softmax(gate(norm(y)) / temperature) of the gate token, in float32: [S, D] -> [S]. No gradients.
/// @param y_SD  hidden states of each response's gate token
at::Tensor norm_and_gated_head(const at::Tensor& x_SD, const at::Tensor& y_SD,
                               const at::Tensor& norm_weight_D, const GatedHead& head,
                               const engine::NormConfig& config);

}  // namespace charm::torch
