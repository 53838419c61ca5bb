#include "charm/nn/gated_head.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <cmath>

namespace charm::nn {
namespace {

/// One row at a time and in double, so that a score does not depend on the rows beside it.
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

at::Tensor norm_and_gated_head(const at::Tensor& x_SD, const at::Tensor& y_SD,
                               const at::Tensor& norm_weight_D, const GatedHead& head,
                               const NormRule& rule, Mode mode) {
  const auto norm = [&](const at::Tensor& x) {
    return rms_norm(x.to(at::kFloat), norm_weight_D.to(at::kFloat), rule, mode);
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
