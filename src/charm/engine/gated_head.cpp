#include "charm/engine/gated_head.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linspace.h>

#include <algorithm>
#include <cmath>

#include "charm/base/check.h"

namespace charm::engine {
namespace {

constexpr double kLeak = 0.01;  // PyTorch's LeakyReLU
// PyTorch's SELU (arXiv 1706.02515).
constexpr double kSeluScale = 1.0507009873554804934193349852946;
constexpr double kSeluAlpha = 1.6732632423543772848170429916717;

at::Tensor activate(const at::Tensor& x_SH, HeadActivation activation, Mode mode) {
  if (activation == HeadActivation::kRelu) return x_SH.clamp_min(0);
  if (activation == HeadActivation::kLeakyRelu)
    return x_SH.clamp_min(0) + x_SH.clamp_max(0) * kLeak;
  if (mode != Mode::kInference) {
    return (x_SH.clamp_min(0) + x_SH.clamp_max(0).expm1() * kSeluAlpha) * kSeluScale;
  }
  // ATen's vectors and their scalar tail may round differently: a score must not depend on where
  // its row lies.
  at::Tensor out_SH = at::empty(x_SH.sizes(), x_SH.options());
  const float* x = x_SH.const_data_ptr<float>();
  auto* out = out_SH.mutable_data_ptr<float>();
  for (std::int64_t i = 0; i < x_SH.numel(); ++i) {
    const double value = x[i];
    out[i] =
        static_cast<float>(kSeluScale * (value > 0.0 ? value : kSeluAlpha * std::expm1(value)));
  }
  return out_SH;
}

at::Tensor run(const HeadNetwork& network, at::Tensor x_SI, Mode mode) {
  for (std::size_t i = 0; i < network.layers.size(); ++i) {
    x_SI = head_layer(network.layers[i], x_SI, mode);
    if (i + 1 == network.layers.size()) break;
    x_SI = activate(x_SI, network.activation, mode);
    if (i >= network.norms.size() || !network.norms[i].scale_H.defined()) continue;
    x_SI = x_SI * network.norms[i].scale_H + network.norms[i].shift_H;
  }
  return x_SI;
}

/// Softmax-weighted mean of `values` (or, without values, of evenly spaced ones from 0 to 1).
double expectation(const float* logits, std::int64_t count, double temperature,
                   const float* values) {
  const double largest = *std::max_element(logits, logits + count);
  double sum = 0.0, weights = 0.0;
  for (std::int64_t k = 0; k < count; ++k) {
    const double weight = std::exp((logits[k] - largest) / temperature);
    const double value =
        values != nullptr
            ? values[k]
            : static_cast<double>(k) / static_cast<double>(std::max<std::int64_t>(count - 1, 1));
    weights += weight;
    sum += weight * value;
  }
  return sum / weights;
}

/// One objective's reward from its Q outputs, in double.
float reward_of(const float* outputs, std::int64_t count, ObjectiveReward kind) {
  switch (kind) {
    case ObjectiveReward::kOutput:
    case ObjectiveReward::kFirst:
      return outputs[0];
    case ObjectiveReward::kMean: {
      double sum = 0.0;
      for (std::int64_t q = 0; q < count; ++q) sum += outputs[q];
      return static_cast<float>(sum / static_cast<double>(count));
    }
    case ObjectiveReward::kExpectation:
      return static_cast<float>(expectation(outputs, count, 1.0, nullptr));
  }
  CHARM_CHECK(false, "unknown reward");
  return 0.0F;
}

/// [S, K * Q] -> [S, K], row by row.
at::Tensor rewards_of(const at::Tensor& outputs, std::int64_t objectives, ObjectiveReward kind,
                      Mode mode) {
  const std::int64_t rows = outputs.size(0), count = outputs.size(1) / objectives;
  CHARM_CHECK(count * objectives == outputs.size(1), "{} outputs of {} objectives", outputs.size(1),
              objectives);
  if (kind == ObjectiveReward::kOutput) return outputs;
  if (mode != Mode::kInference) {
    const at::Tensor outputs_SKQ = outputs.view({rows, objectives, count});
    if (kind == ObjectiveReward::kMean) return outputs_SKQ.mean(-1);
    if (kind == ObjectiveReward::kFirst) return outputs_SKQ.select(-1, 0);
    return (outputs_SKQ.softmax(-1) * at::linspace(0.0, 1.0, count, outputs.options())).sum(-1);
  }
  at::Tensor rewards_SK = at::empty({rows, objectives}, outputs.options());
  const float* from = outputs.const_data_ptr<float>();
  auto* to = rewards_SK.mutable_data_ptr<float>();
  for (std::int64_t i = 0; i < rows * objectives; ++i)
    to[i] = reward_of(from + i * count, count, kind);
  return rewards_SK;
}

/// Row by row and in double, so that a score does not depend on the other rows.
at::Tensor mix(const at::Tensor& rewards_SK, const at::Tensor& gate_SK, const GatedHead& head) {
  const std::int64_t objectives = rewards_SK.size(1);
  const double scale = head.gate_scale.defined() ? head.gate_scale.item<double>() : 1.0;
  at::Tensor scores_S = at::empty({rewards_SK.size(0)}, rewards_SK.options());
  for (std::int64_t s = 0; s < rewards_SK.size(0); ++s) {
    const float* rewards = rewards_SK.const_data_ptr<float>() + s * objectives;
    const float* gate = gate_SK.const_data_ptr<float>() + s * objectives;
    double score = 0.0;
    if (head.softmax) {
      score = expectation(gate, objectives, head.temperature, rewards);
    } else {
      for (std::int64_t k = 0; k < objectives; ++k)
        score += static_cast<double>(gate[k]) * rewards[k];
    }
    scores_S.mutable_data_ptr<float>()[s] = static_cast<float>(scale * score);
  }
  return scores_S;
}

}  // namespace

HeadBatchNorm fold_batch_norm(const at::Tensor& weight_H, const at::Tensor& bias_H,
                              const at::Tensor& mean_H, const at::Tensor& variance_H) {
  constexpr double kEps = 1e-5;
  const at::Tensor scale_H = weight_H.to(at::kDouble) / (variance_H.to(at::kDouble) + kEps).sqrt();
  return {.scale_H = scale_H.to(at::kFloat),
          .shift_H = (bias_H.to(at::kDouble) - mean_H.to(at::kDouble) * scale_H).to(at::kFloat)};
}

at::Tensor norm_and_gated_head(const at::Tensor& x_SD, const at::Tensor& y_SD,
                               const at::Tensor& norm_weight_D, const GatedHead& head,
                               const NormConfig& config, Mode mode) {
  const auto norm = [&](const at::Tensor& x) {
    return rms_norm(x.to(at::kFloat), norm_weight_D.to(at::kFloat), config, mode);
  };
  const at::Tensor gate_SK = run(head.gate, norm(y_SD), mode);
  at::Tensor rewards_SK =
      rewards_of(run(head.rewards, norm(x_SD), mode), gate_SK.size(1), head.reward, mode);
  if (head.transform_KK.defined())
    rewards_SK = head_layer({head.transform_KK.t().contiguous(), at::Tensor()}, rewards_SK, mode);
  if (mode == Mode::kInference) return mix(rewards_SK, gate_SK, head);
  at::Tensor weights_SK = head.softmax ? (gate_SK / head.temperature).softmax(-1) : gate_SK;
  if (head.gate_scale.defined()) weights_SK = weights_SK * head.gate_scale.to(at::kFloat);
  return (weights_SK * rewards_SK).sum(-1);
}

}  // namespace charm::engine
