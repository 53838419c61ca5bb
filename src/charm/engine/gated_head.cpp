#include "charm/engine/gated_head.h"

#include <algorithm>
#include <cmath>

#include "charm/base/check.h"

namespace charm::engine {
namespace {

constexpr double kLeak = 0.01;  // PyTorch's LeakyReLU
// PyTorch's SELU (arXiv 1706.02515).
constexpr double kSeluScale = 1.0507009873554804934193349852946;
constexpr double kSeluAlpha = 1.6732632423543772848170429916717;

double activate(double x, HeadActivation activation) {
  switch (activation) {
    case HeadActivation::kRelu:
      return x < 0.0 ? 0.0 : x;
    case HeadActivation::kLeakyRelu:
      return x < 0.0 ? kLeak * x : x;
    case HeadActivation::kSelu:
      return kSeluScale * (x > 0.0 ? x : kSeluAlpha * std::expm1(x));
  }
  CHARM_CHECK(false, "unknown activation");
  return x;
}

/// Batch normalisation in place.
void normalise(const HeadBatchNorm& norm, Tensor& x_SH) {
  float* x = x_SH.mutable_data<float>();
  const float* scale_H = norm.scale_H.data<float>();
  const float* shift_H = norm.shift_H.data<float>();
  for (std::int64_t i = 0; i < x_SH.numel(); ++i)
    x[i] = x[i] * scale_H[i % x_SH.cols()] + shift_H[i % x_SH.cols()];
}

Tensor run(const HeadNetwork& network, Tensor x_SI) {
  for (std::size_t i = 0; i < network.layers.size(); ++i) {
    x_SI = head_layer(network.layers[i], x_SI);
    if (i + 1 == network.layers.size()) break;
    float* x = x_SI.mutable_data<float>();
    for (std::int64_t j = 0; j < x_SI.numel(); ++j)
      x[j] = static_cast<float>(activate(x[j], network.activation));
    if (i < network.norms.size() && network.norms[i].scale_H.defined())
      normalise(network.norms[i], x_SI);
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
Tensor rewards_of(const Tensor& outputs, std::int64_t objectives, ObjectiveReward kind) {
  const std::int64_t rows = outputs.rows(), count = outputs.cols() / objectives;
  CHARM_CHECK(count * objectives == outputs.cols(), "{} outputs of {} objectives", outputs.cols(),
              objectives);
  if (kind == ObjectiveReward::kOutput) return outputs;
  Tensor rewards_SK = Tensor::empty({rows, objectives}, DType::kFloat32);
  const float* from = outputs.data<float>();
  float* to = rewards_SK.mutable_data<float>();
  for (std::int64_t i = 0; i < rows * objectives; ++i)
    to[i] = reward_of(from + i * count, count, kind);
  return rewards_SK;
}

/// Row by row and in double, so that a score does not depend on the other rows.
Tensor mix(const Tensor& rewards_SK, const Tensor& gate_SK, const GatedHead& head) {
  const std::int64_t objectives = rewards_SK.cols();
  const double scale = head.gate_scale.defined() ? head.gate_scale.data<float>()[0] : 1.0;
  Tensor scores_S = Tensor::empty({rewards_SK.rows()}, DType::kFloat32);
  for (std::int64_t s = 0; s < rewards_SK.rows(); ++s) {
    const float* rewards = rewards_SK.data<float>() + s * objectives;
    const float* gate = gate_SK.data<float>() + s * objectives;
    double score = 0.0;
    if (head.softmax) {
      score = expectation(gate, objectives, head.temperature, rewards);
    } else {
      for (std::int64_t k = 0; k < objectives; ++k)
        score += static_cast<double>(gate[k]) * rewards[k];
    }
    scores_S.mutable_data<float>()[s] = static_cast<float>(scale * score);
  }
  return scores_S;
}

/// Folds the tensors of a batch normalisation (eps 1e-5, PyTorch's default).
HeadBatchNorm fold_batch_norm(const Tensor& weight_H, const Tensor& bias_H, const Tensor& mean_H,
                              const Tensor& variance_H) {
  constexpr double kEps = 1e-5;
  HeadBatchNorm norm{.scale_H = Tensor::empty(weight_H.shape(), DType::kFloat32),
                     .shift_H = Tensor::empty(weight_H.shape(), DType::kFloat32)};
  for (std::int64_t i = 0; i < weight_H.numel(); ++i) {
    const double scale = weight_H.data<float>()[i] / std::sqrt(variance_H.data<float>()[i] + kEps);
    norm.scale_H.mutable_data<float>()[i] = static_cast<float>(scale);
    norm.shift_H.mutable_data<float>()[i] =
        static_cast<float>(bias_H.data<float>()[i] - mean_H.data<float>()[i] * scale);
  }
  return norm;
}

}  // namespace

Tensor gated_score(const Tensor& x_SD, const Tensor& y_SD, const GatedHead& head) {
  const Tensor gate_SK = run(head.gate, y_SD);
  Tensor rewards_SK = rewards_of(run(head.rewards, x_SD), gate_SK.cols(), head.reward);
  if (head.transform_KK.defined())
    rewards_SK = head_layer({head.transform_KK.transposed(), Tensor()}, rewards_SK);
  return mix(rewards_SK, gate_SK, head);
}

GatedHead make_gated_head(const DecoderConfig& config, const std::vector<HeadLayer>& layers) {
  auto next = layers.begin();
  const auto take = [&] {
    CHARM_CHECK(next != layers.end(), "a head of {} layers lacks some", layers.size());
    return *next++;
  };
  const auto network = [&](const std::vector<HeadModule>& modules) {
    HeadNetwork made;
    for (const HeadModule& module : modules) {
      if (!module.is_batch_norm) {
        made.layers.push_back(take());
        continue;
      }
      made.norms.resize(made.layers.size());
      const HeadLayer scale = take();
      const Tensor mean = take().weight_OI, variance = take().weight_OI;
      made.norms.back() = fold_batch_norm(scale.weight_OI, scale.bias_O, mean, variance);
    }
    return made;
  };
  GatedHead head;
  head.softmax = config.gate_softmax;
  head.temperature = config.gate_temperature;
  head.rewards = network(config.reward_modules);
  if (config.has_reward_transform) head.transform_KK = take().weight_OI;
  if (config.has_gate_scale) head.gate_scale = take().weight_OI;
  head.gate = network(config.gate_modules);
  switch (config.head) {
    case HeadKind::kQuantiles:
      head.reward = ObjectiveReward::kMean;
      break;
    case HeadKind::kMeansAndVariances:
      head.reward = ObjectiveReward::kFirst;
      head.gate.activation = HeadActivation::kSelu;
      break;
    case HeadKind::kDistribution:
      head.reward = ObjectiveReward::kExpectation;
      head.rewards.activation = head.gate.activation = HeadActivation::kLeakyRelu;
      break;
    default:
      break;
  }
  return head;
}

}  // namespace charm::engine
