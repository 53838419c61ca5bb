#include "charm/base/check.h"
#include "charm/engine/objective_heads.h"

namespace charm::engine {

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
