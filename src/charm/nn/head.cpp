#include "charm/nn/head.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "charm/base/check.h"
#include "charm/nn/kernel_call.h"

namespace charm::nn {
namespace {

at::Tensor layer_forward(const HeadLayer& layer, const at::Tensor& x_SI, Mode mode) {
  if (mode != Mode::kInference) {
    const auto bias = layer.bias_O.defined()
                          ? std::optional<at::Tensor>(layer.bias_O.to(at::kFloat))
                          : std::nullopt;
    return at::linear(x_SI, layer.weight_OI.to(at::kFloat), bias);
  }
  CHARM_CHECK(layer.weight_OI.scalar_type() == at::kFloat,
              "the head must be float32 in inference mode");
  at::Tensor out_SO = at::empty({x_SI.size(0), layer.weight_OI.size(0)}, x_SI.options());
  kernels::head_layer(elements<float>(x_SI), elements<float>(layer.weight_OI),
                      layer.bias_O.defined() ? elements<float>(layer.bias_O) : nullptr,
                      mutable_elements<float>(out_SO), x_SI.size(0), x_SI.size(1),
                      layer.weight_OI.size(0));
  return out_SO;
}

/// Row by row and in double, so that a score does not depend on the other rows.
at::Tensor mix(const at::Tensor& rewards_SK, const at::Tensor& logits_SK, double scale,
               double temperature) {
  const std::int64_t objectives = rewards_SK.size(1);
  at::Tensor scores_S = at::empty({rewards_SK.size(0)}, rewards_SK.options());
  for (std::int64_t s = 0; s < rewards_SK.size(0); ++s) {
    const float* rewards = rewards_SK.const_data_ptr<float>() + s * objectives;
    const float* logits = logits_SK.const_data_ptr<float>() + s * objectives;
    const double largest = *std::max_element(logits, logits + objectives);
    double sum = 0.0, weights = 0.0;
    for (std::int64_t k = 0; k < objectives; ++k) {
      const double weight = std::exp((logits[k] - largest) / temperature);
      weights += weight;
      sum += weight * rewards[k];
    }
    scores_S.mutable_data_ptr<float>()[s] = static_cast<float>(scale * sum / weights);
  }
  return scores_S;
}

}  // namespace

at::Tensor head_layers(at::Tensor x_SD, std::span<const HeadLayer> layers, Mode mode) {
  for (const HeadLayer& layer : layers) {
    if (&layer != layers.data()) x_SD = x_SD.clamp_min(0);
    x_SD = layer_forward(layer, x_SD, mode);
  }
  return x_SD;
}

at::Tensor norm_and_head(const at::Tensor& x_SD, const at::Tensor& norm_weight_D,
                         std::span<const HeadLayer> layers, const NormConfig& config, Mode mode) {
  CHARM_CHECK(!layers.empty(), "this decoder has no head");
  return head_layers(rms_norm(x_SD.to(at::kFloat), norm_weight_D.to(at::kFloat), config, mode),
                     layers, mode)
      .squeeze(-1);
}

at::Tensor norm_and_gated_head(const at::Tensor& x_SD, const at::Tensor& y_SD,
                               const at::Tensor& norm_weight_D, const GatedHead& head,
                               const NormConfig& config, Mode mode) {
  const auto norm = [&](const at::Tensor& x) {
    return rms_norm(x.to(at::kFloat), norm_weight_D.to(at::kFloat), config, mode);
  };
  const HeadLayer regression[] = {head.regression};
  const HeadLayer transform[] = {{head.transform_KK.t().contiguous(), at::Tensor()}};
  const at::Tensor rewards_SK =
      head_layers(head_layers(norm(x_SD), regression, mode), transform, mode);
  const at::Tensor logits_SK = head_layers(norm(y_SD), head.gate, mode);
  if (mode == Mode::kInference)
    return mix(rewards_SK, logits_SK, head.gate_scale.item<double>(), head.temperature);
  return ((logits_SK / head.temperature).softmax(-1) * head.gate_scale.to(at::kFloat) * rewards_SK)
      .sum(-1);
}

}  // namespace charm::nn
