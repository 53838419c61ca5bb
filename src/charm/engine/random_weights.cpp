#include <cmath>

#include "charm/base/error.h"
#include "charm/base/random.h"
#include "charm/engine/decoder_weights.h"
#include "charm/engine/weight_names.h"

namespace charm::engine {
namespace {

Tensor normal(const std::vector<std::int64_t>& shape, double deviation, RandomStream& stream) {
  Tensor values = Tensor::empty(shape, DType::kFloat32);
  auto* data = values.mutable_data<float>();
  for (std::int64_t i = 0; i < values.numel(); ++i)
    data[i] = static_cast<float>(deviation * stream.normal());
  return values;
}

bool begins_at_one(WeightShape kind, const DecoderConfig& config) {
  return (is_norm(kind) && !config.norms_add_one) || kind == WeightShape::kDeltaNorm ||
         kind == WeightShape::kDeltaBias || kind == WeightShape::kLayerScalar;
}

/// Logarithms of rates that are uniform in 0.01 .. 16.
Tensor decay_rates(const std::vector<std::int64_t>& shape, RandomStream& stream) {
  Tensor values = Tensor::empty(shape, DType::kFloat32);
  auto* data = values.mutable_data<float>();
  for (std::int64_t i = 0; i < values.numel(); ++i)
    data[i] = static_cast<float>(std::log(0.01 + 15.99 * stream.uniform()));
  return values;
}

}  // namespace

DecoderWeights random_weights(const DecoderConfig& config, std::uint64_t seed) {
  DecoderWeights weights;
  std::uint64_t index = 0;
  for (const WeightSlot& slot : weight_slots(weights, config)) {
    RandomStream stream(seed, "random_weights", index++);
    if (begins_at_one(slot.kind, config)) {
      *slot.tensor = Tensor::of(
          std::vector<float>(static_cast<std::size_t>(slot.shape.front()), 1.0F), slot.shape);
    } else if (slot.kind == WeightShape::kDeltaRate) {
      *slot.tensor = decay_rates(slot.shape, stream);
    } else if (slot.shape.size() == 1) {
      *slot.tensor = Tensor::zeros(slot.shape, DType::kFloat32);
    } else {
      *slot.tensor = normal(slot.shape, config.initializer_range, stream);
    }
  }
  return weights;
}

void add_random_head(DecoderWeights& weights, DecoderConfig& config, std::uint64_t seed) {
  if (!(config.initializer_range > 0.0)) {
    throw Error(ErrorKind::kInput,
                "config.json: initializer_range is {}, expected a positive number: it is the "
                "standard deviation of the new head's weights (0.02 is usual)",
                config.initializer_range);
  }
  RandomStream stream(seed, "random_head");
  config.head = HeadKind::kLinear;
  weights.head.assign(1, {});
  weights.head.front().weight_OI =
      normal({1, config.hidden_size}, config.initializer_range, stream);
}

}  // namespace charm::engine
