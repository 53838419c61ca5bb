#include "charm/torch/head.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/linspace.h>

#include "charm/base/check.h"
#include "charm/torch/block.h"
#include "charm/torch/projections.h"

namespace charm::torch {
namespace {

constexpr double kLeak = 0.01;  // PyTorch's LeakyReLU
// PyTorch's SELU (arXiv 1706.02515).
constexpr double kSeluScale = 1.0507009873554804934193349852946;
constexpr double kSeluAlpha = 1.6732632423543772848170429916717;

at::Tensor head_layer(const HeadLayer& layer, const at::Tensor& x_SI) {
  return linear(x_SI, layer.weight_OI.to(at::kFloat),
                layer.bias_O.defined() ? layer.bias_O.to(at::kFloat) : layer.bias_O);
}

at::Tensor float32_norm(const at::Tensor& x_SD, const at::Tensor& weight_D,
                        const engine::NormConfig& config) {
  return rms_norm(x_SD.to(at::kFloat), weight_D.to(at::kFloat), config);
}

at::Tensor activate(const at::Tensor& x_SH, engine::HeadActivation activation) {
  switch (activation) {
    case engine::HeadActivation::kRelu:
      return x_SH.clamp_min(0);
    case engine::HeadActivation::kLeakyRelu:
      return x_SH.clamp_min(0) + x_SH.clamp_max(0) * kLeak;
    case engine::HeadActivation::kSelu:
      return (x_SH.clamp_min(0) + x_SH.clamp_max(0).expm1() * kSeluAlpha) * kSeluScale;
  }
  CHARM_CHECK(false, "unknown activation");
  return x_SH;
}

at::Tensor run(const HeadNetwork& network, at::Tensor x_SI) {
  for (std::size_t i = 0; i < network.layers.size(); ++i) {
    x_SI = head_layer(network.layers[i], x_SI);
    if (i + 1 == network.layers.size()) break;
    x_SI = activate(x_SI, network.activation);
    if (i >= network.norms.size() || !network.norms[i].scale_H.defined()) continue;
    x_SI = x_SI * network.norms[i].scale_H + network.norms[i].shift_H;
  }
  return x_SI;
}

/// [S, K * Q] -> [S, K].
at::Tensor rewards_of(const at::Tensor& outputs, std::int64_t objectives,
                      engine::ObjectiveReward kind) {
  const std::int64_t count = outputs.size(1) / objectives;
  CHARM_CHECK(count * objectives == outputs.size(1), "{} outputs of {} objectives", outputs.size(1),
              objectives);
  const at::Tensor outputs_SKQ = outputs.view({outputs.size(0), objectives, count});
  switch (kind) {
    case engine::ObjectiveReward::kOutput:
      return outputs;
    case engine::ObjectiveReward::kMean:
      return outputs_SKQ.mean(-1);
    case engine::ObjectiveReward::kFirst:
      return outputs_SKQ.select(-1, 0);
    case engine::ObjectiveReward::kExpectation:
      return (outputs_SKQ.softmax(-1) * at::linspace(0.0, 1.0, count, outputs.options())).sum(-1);
  }
  CHARM_CHECK(false, "unknown reward");
  return outputs;
}

HeadNetwork make_network(const engine::HeadNetwork& network, const Place& place) {
  HeadNetwork made{
      .layers = make_head(network.layers, place), .norms = {}, .activation = network.activation};
  for (const engine::HeadBatchNorm& norm : network.norms)
    made.norms.push_back({place(norm.scale_H, true), place(norm.shift_H, true)});
  return made;
}

}  // namespace

std::vector<HeadLayer> make_head(const std::vector<engine::HeadLayer>& layers, const Place& place) {
  std::vector<HeadLayer> made;
  made.reserve(layers.size());
  for (const engine::HeadLayer& layer : layers)
    made.push_back({place(layer.weight_OI, true), place(layer.bias_O, true)});
  return made;
}

GatedHead make_gated_head(const engine::GatedHead& head, const Place& place) {
  return {.rewards = make_network(head.rewards, place),
          .reward = head.reward,
          .transform_KK = place(head.transform_KK, true),
          .gate = make_network(head.gate, place),
          .softmax = head.softmax,
          .temperature = head.temperature,
          .gate_scale = place(head.gate_scale, true)};
}

at::Tensor norm_and_head(const at::Tensor& x_SD, const at::Tensor& norm_weight_D,
                         const std::vector<HeadLayer>& layers, const engine::NormConfig& config) {
  CHARM_CHECK(!layers.empty(), "this decoder has no head");
  return run({.layers = layers, .norms = {}, .activation = engine::HeadActivation::kRelu},
             float32_norm(x_SD, norm_weight_D, config))
      .squeeze(-1);
}

at::Tensor norm_and_gated_head(const at::Tensor& x_SD, const at::Tensor& y_SD,
                               const at::Tensor& norm_weight_D, const GatedHead& head,
                               const engine::NormConfig& config) {
  const at::Tensor gate_SK = run(head.gate, float32_norm(y_SD, norm_weight_D, config));
  at::Tensor rewards_SK = rewards_of(run(head.rewards, float32_norm(x_SD, norm_weight_D, config)),
                                     gate_SK.size(1), head.reward);
  if (head.transform_KK.defined())
    rewards_SK = head_layer({head.transform_KK.t(), at::Tensor()}, rewards_SK);
  at::Tensor weights_SK = head.softmax ? (gate_SK / head.temperature).softmax(-1) : gate_SK;
  if (head.gate_scale.defined()) weights_SK = weights_SK * head.gate_scale;
  return (weights_SK * rewards_SK).sum(-1);
}

}  // namespace charm::torch
