#include "charm/model/weight_names.h"

#include <fmt/format.h>

#include <charconv>

#include "charm/base/error.h"
#include "charm/model/families/family.h"
#include "charm/model/heads.h"

namespace charm::model {
namespace {

std::vector<std::int64_t> shape_of(WeightShape kind, const DecoderConfig& c) {
  const std::int64_t heads = c.num_heads * c.head_dim;
  const std::int64_t kv_heads = c.num_kv_heads * c.head_dim;
  switch (kind) {
    case WeightShape::kEmbedding:
      return {c.vocab_size, c.hidden_size};
    case WeightShape::kNorm:
    case WeightShape::kModel:
      return {c.hidden_size};
    case WeightShape::kHeadNorm:
      return {c.head_dim};
    case WeightShape::kHeads:
    case WeightShape::kHeadsNorm:
      return {heads};
    case WeightShape::kKvHeads:
    case WeightShape::kKvHeadsNorm:
      return {kv_heads};
    case WeightShape::kMlp:
      return {c.intermediate_size};
    case WeightShape::kHeadsByModel:
      return {heads, c.hidden_size};
    case WeightShape::kKvHeadsByModel:
      return {kv_heads, c.hidden_size};
    case WeightShape::kModelByHeads:
      return {c.hidden_size, heads};
    case WeightShape::kMlpByModel:
      return {c.intermediate_size, c.hidden_size};
    case WeightShape::kModelByMlp:
      return {c.hidden_size, c.intermediate_size};
    case WeightShape::kHead:
      break;  // has the shape its layer gives it
  }
  throw Error(ErrorKind::kInternal, "shape_of: unknown kind {}", static_cast<int>(kind));
}

const WeightNames& names_of(const DecoderConfig& config) {
  return *family_of_type(config.model_type).names;
}

bool is_absent(BiasOf bias, const DecoderConfig& config) {
  return (bias == BiasOf::kAttention && !config.attention_bias) ||
         (bias == BiasOf::kMlp && !config.mlp_bias);
}

}  // namespace

std::vector<WeightSlot> weight_slots(DecoderWeights& weights, const DecoderConfig& config) {
  const WeightNames& names = names_of(config);
  std::vector<WeightSlot> slots;
  const auto add = [&](std::string name, WeightShape kind, at::Tensor& tensor) {
    slots.push_back({std::move(name), kind, shape_of(kind, config), &tensor});
  };
  weights.blocks.resize(static_cast<std::size_t>(config.num_layers));
  add(std::string(names.embedding), WeightShape::kEmbedding, weights.embed_VD);
  for (std::size_t layer = 0; layer < weights.blocks.size(); ++layer) {
    for (const std::span<const BlockSlot> group : names.block_slots) {
      for (const BlockSlot& slot : group) {
        if (is_absent(slot.bias, config)) continue;
        add(fmt::format("{}{}.{}", names.block_prefix, layer, slot.suffix), slot.shape,
            weights.blocks[layer].*slot.member);
      }
    }
  }
  add(std::string(names.final_norm), WeightShape::kNorm, weights.final_norm_D);
  if (config.head == HeadKind::kNone) return slots;
  const std::vector<HeadLayerShape> layers = head_of(config.head).layers(config);
  weights.head.resize(layers.size());
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const HeadLayerShape& layer = layers[i];
    slots.push_back({layer.weight, WeightShape::kHead, layer.shape, &weights.head[i].weight_OI});
    if (!layer.bias.empty()) {
      slots.push_back(
          {layer.bias, WeightShape::kHead, {layer.shape.front()}, &weights.head[i].bias_O});
    }
  }
  return slots;
}

std::vector<std::pair<std::string, at::Tensor*>> named_weights(DecoderWeights& weights,
                                                               const DecoderConfig& config) {
  std::vector<std::pair<std::string, at::Tensor*>> named;
  for (WeightSlot& slot : weight_slots(weights, config)) {
    if (slot.tensor->defined()) named.emplace_back(std::move(slot.name), slot.tensor);
  }
  return named;
}

bool is_ignored_weight(std::string_view name) {
  return name == kLmHead || name.ends_with("rotary_emb.inv_freq");
}

std::int64_t layer_of_weight(std::string_view name, const DecoderConfig& config) {
  const WeightNames& names = names_of(config);
  if (!name.starts_with(names.block_prefix)) return -1;
  name.remove_prefix(names.block_prefix.size());
  std::int64_t layer = -1;
  const auto [end, code] = std::from_chars(name.data(), name.data() + name.size(), layer);
  const bool whole = code == std::errc() && end != name.data() + name.size() && *end == '.';
  return whole && layer >= 0 ? layer : -1;
}

}  // namespace charm::model
