
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

}  // namespace

DecoderWeights random_weights(const DecoderConfig& config, std::uint64_t seed) {
  DecoderWeights weights;
  std::uint64_t index = 0;
  for (const WeightSlot& slot : weight_slots(weights, config)) {
    RandomStream stream(seed, "random_weights", index++);
    if (is_norm(slot.kind) && !config.norms_add_one) {
      *slot.tensor = Tensor::of(
          std::vector<float>(static_cast<std::size_t>(slot.shape.front()), 1.0F), slot.shape);
    } else if (slot.shape.size() == 1) {
      *slot.tensor = Tensor::zeros(slot.shape, DType::kFloat32);
    } else {
      *slot.tensor = normal(slot.shape, config.initializer_range, stream);
    }
  }
  return weights;
}

void add_random_head(DecoderWeights& weights, DecoderConfig& config, std::uint64_t seed) {
  RandomStream stream(seed, "random_head");
  config.head = HeadKind::kLinear;
  weights.head.assign(1, {});
  weights.head.front().weight_OI =
      normal({1, config.hidden_size}, config.initializer_range, stream);
}

}  // namespace charm::engine
