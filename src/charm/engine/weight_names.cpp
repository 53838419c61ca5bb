#include "charm/engine/weight_names.h"

#include <fmt/format.h>

#include <charconv>
#include <utility>

#include "charm/base/error.h"
#include "charm/engine/families/family.h"
#include "charm/engine/heads.h"

namespace charm::engine {
namespace {

std::vector<std::int64_t> delta_net_shape(WeightShape kind, const DecoderConfig& c) {
  const kernels::DeltaShape& shape = c.delta_net.value().shape;
  switch (kind) {
    case WeightShape::kDeltaChannels:
      return {shape.channels(), c.hidden_size};
    case WeightShape::kDeltaValues:
      return {shape.values(), c.hidden_size};
    case WeightShape::kDeltaHeads:
      return {shape.value_heads, c.hidden_size};
    case WeightShape::kDeltaConv:
      return {shape.channels(), 1, c.delta_net->taps};
    case WeightShape::kDeltaNorm:
      return {shape.value_dim};
    case WeightShape::kDeltaOutput:
      return {c.hidden_size, shape.values()};
    default:  // kDeltaRate, kDeltaBias
      return {shape.value_heads};
  }
}

std::vector<std::int64_t> per_layer_shape(WeightShape kind, const DecoderConfig& c) {
  const PerLayerConfig& own = c.per_layer.value();
  switch (kind) {
    case WeightShape::kPerLayerEmbedding:
      return {own.vocab_size, c.num_layers * own.width};
    case WeightShape::kPerLayersByModel:
      return {c.num_layers * own.width, c.hidden_size};
    case WeightShape::kPerLayerNorm:
      return {own.width};
    case WeightShape::kPerLayerByModel:
      return {own.width, c.hidden_size};
    case WeightShape::kModelByPerLayer:
      return {c.hidden_size, own.width};
    default:  // kPerLayerOutputNorm
      return {c.hidden_size};
  }
}

/// @param layer  of a block's tensor
std::vector<std::int64_t> shape_of(WeightShape kind, const DecoderConfig& c,
                                   std::size_t layer = 0) {
  if (is_delta_net(kind)) return delta_net_shape(kind, c);
  if (is_per_layer(kind)) return per_layer_shape(kind, c);
  const std::int64_t width = head_dim(c, layer), heads = c.num_heads * width;
  const std::int64_t queries = c.attention_output_gate ? 2 * heads : heads;
  const std::int64_t kv_heads = num_kv_heads(c, layer) * width;
  const std::int64_t mlp = mlp_width(c, layer);
  switch (kind) {
    case WeightShape::kEmbedding:
      return {c.vocab_size, c.hidden_size};
    case WeightShape::kNorm:
    case WeightShape::kModel:
      return {c.hidden_size};
    case WeightShape::kHeadNorm:
      return {width};
    case WeightShape::kHeads:
      return {queries};
    case WeightShape::kHeadsNorm:
      return {heads};
    case WeightShape::kKvHeads:
    case WeightShape::kKvHeadsNorm:
      return {kv_heads};
    case WeightShape::kMlp:
      return {mlp};
    case WeightShape::kHeadsByModel:
      return {queries, c.hidden_size};
    case WeightShape::kKvHeadsByModel:
      return {kv_heads, c.hidden_size};
    case WeightShape::kModelByHeads:
      return {c.hidden_size, heads};
    case WeightShape::kMlpByModel:
      return {mlp, c.hidden_size};
    case WeightShape::kModelByMlp:
      return {c.hidden_size, mlp};
    case WeightShape::kQkvByModel:
      return {heads + 2 * kv_heads, c.hidden_size};
    case WeightShape::kGateUpByModel:
      return {2 * mlp, c.hidden_size};
    case WeightShape::kRouter:
      return {c.experts.value().routing.num_experts, c.hidden_size};
    case WeightShape::kExpertByModel:
      return {c.experts.value().width, c.hidden_size};
    case WeightShape::kModelByExpert:
      return {c.hidden_size, c.experts.value().width};
    case WeightShape::kLayerScalar:
      return {1};
    default:  // kHead has the shape its layer gives it
      break;
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

/// Removes "<prefix>N." from the name's beginning and returns N; otherwise -1.
std::int64_t take_number(std::string_view& name, std::string_view prefix) {
  if (!name.starts_with(prefix)) return -1;
  name.remove_prefix(prefix.size());
  std::int64_t number = -1;
  const auto [end, code] = std::from_chars(name.data(), name.data() + name.size(), number);
  const bool whole = code == std::errc() && end != name.data() + name.size() && *end == '.';
  if (!whole || number < 0) return -1;
  name.remove_prefix(static_cast<std::size_t>(end - name.data()) + 1);
  return number;
}

/// "model.layers.7.mlp.gate.weight" -> "model.layers.7." and the rest; the first is empty for other
/// names.
std::pair<std::string, std::string_view> split_block_name(std::string_view name,
                                                          const WeightNames& names) {
  std::string_view suffix = name;
  if (take_number(suffix, names.block_prefix) < 0) return {"", name};
  return {std::string(name.substr(0, name.size() - suffix.size())), suffix};
}

/// Of a dense MLP, which layers with experts do not have.
bool is_mlp(WeightShape kind) {
  return kind == WeightShape::kMlp || kind == WeightShape::kMlpByModel ||
         kind == WeightShape::kModelByMlp || kind == WeightShape::kGateUpByModel;
}

/// Of attention, which layers with a gated delta net do not have.
bool is_attention(const BlockSlot& slot) {
  switch (slot.shape) {
    case WeightShape::kHeadNorm:
    case WeightShape::kHeadsNorm:
    case WeightShape::kKvHeadsNorm:
    case WeightShape::kHeadsByModel:
    case WeightShape::kKvHeadsByModel:
    case WeightShape::kModelByHeads:
    case WeightShape::kQkvByModel:
      return true;
    default:
      return slot.bias == BiasOf::kAttention;
  }
}

/// Of K or V that a layer does not compute: it uses another layer's, or its values are its keys.
bool is_unused_kv(const BlockSlot& slot, const DecoderConfig& config, std::size_t layer) {
  const bool is_v = slot.member == &BlockWeights::v_KED || slot.member == &BlockWeights::v_bias;
  const bool is_k = slot.member == &BlockWeights::k_KED || slot.member == &BlockWeights::k_bias ||
                    slot.member == &BlockWeights::k_norm_E;
  if (shares_kv(config, layer)) return is_k || is_v;
  return is_v && config.global_layers && config.global_layers->values_are_keys &&
         is_global(config, layer);
}

/// Whether a layer does not have one of its family's tensors.
bool is_absent_in(const DecoderConfig& config, std::size_t layer, const BlockSlot& slot) {
  if (is_absent(slot.bias, config)) return true;
  if (has_experts(config, layer) && is_mlp(slot.shape)) return true;
  if (has_delta_net(config, layer) ? is_attention(slot) : is_delta_net(slot.shape)) return true;
  if (is_per_layer(slot.shape) && !config.per_layer) return true;
  return is_unused_kv(slot, config, layer);
}

/// Names after "<block_prefix>N." of K and V, which published checkpoints hold for layers that use
/// another's all the same.
bool is_kv_name(std::string_view name) {
  return name.starts_with("self_attn.k_") || name.starts_with("self_attn.v_");
}

}  // namespace

namespace {

/// All but the head's.
std::vector<WeightSlot> decoder_slots(DecoderWeights& weights, const DecoderConfig& config) {
  const WeightNames& names = names_of(config);
  std::vector<WeightSlot> slots;
  const auto add = [&](std::string name, WeightShape kind, Tensor& tensor, std::size_t layer = 0) {
    slots.push_back({std::move(name), kind, shape_of(kind, config, layer), &tensor});
  };
  weights.blocks.resize(static_cast<std::size_t>(config.num_layers));
  add(std::string(names.embedding), WeightShape::kEmbedding, weights.embed_VD);
  if (config.per_layer) {
    add(std::string(names.per_layer_embedding), WeightShape::kPerLayerEmbedding,
        weights.per_layer_embed_VP);
    add(std::string(names.per_layer_projection), WeightShape::kPerLayersByModel,
        weights.per_layer_projection_PD);
    add(std::string(names.per_layer_norm), WeightShape::kPerLayerNorm, weights.per_layer_norm_P);
  }
  for (std::size_t layer = 0; layer < weights.blocks.size(); ++layer) {
    BlockWeights& block = weights.blocks[layer];
    const std::string prefix = fmt::format("{}{}.", names.block_prefix, layer);
    const bool sparse = has_experts(config, layer);
    for (const std::span<const BlockSlot> group : names.block_slots) {
      for (const BlockSlot& slot : group) {
        if (is_absent_in(config, layer, slot)) continue;
        add(prefix + std::string(slot.suffix), slot.shape, block.*slot.member, layer);
      }
    }
    if (!sparse) continue;
    const ExpertNames& own = *names.experts;
    add(prefix + std::string(own.router), WeightShape::kRouter, block.router_XD);
    block.experts.resize(static_cast<std::size_t>(config.experts->routing.num_experts));
    for (std::size_t e = 0; e < block.experts.size(); ++e) {
      const auto name = [&](std::string_view part) {
        return fmt::format("{}{}{}.{}", prefix, own.prefix, e, part);
      };
      add(name(own.gate), WeightShape::kExpertByModel, block.experts[e].gate_FD);
      add(name(own.up), WeightShape::kExpertByModel, block.experts[e].up_FD);
      add(name(own.down), WeightShape::kModelByExpert, block.experts[e].down_DF);
    }
  }
  add(std::string(names.final_norm), WeightShape::kNorm, weights.final_norm_D);
  return slots;
}

}  // namespace

std::vector<WeightSlot> weight_slots(DecoderWeights& weights, const DecoderConfig& config) {
  std::vector<WeightSlot> slots =
      config.encoder ? encoder_slots(weights.encoder, config) : decoder_slots(weights, config);
  if (config.head == HeadKind::kNone) return slots;
  const std::vector<HeadLayerShape> layers = head_of(config.head).layers(config);
  weights.head.resize(layers.size());
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const HeadLayerShape& layer = layers[i];
    slots.push_back(
        {layer.weight, WeightShape::kHead, layer.shape, &weights.head[i].weight_OI, layer.row});
    if (!layer.bias.empty()) {
      slots.push_back(
          {layer.bias, WeightShape::kHead, {layer.shape.front()}, &weights.head[i].bias_O});
    }
  }
  return slots;
}

std::vector<std::pair<std::string, Tensor*>> named_weights(DecoderWeights& weights,
                                                           const DecoderConfig& config) {
  std::vector<std::pair<std::string, Tensor*>> named;
  for (WeightSlot& slot : weight_slots(weights, config)) {
    if (slot.tensor->defined()) named.emplace_back(std::move(slot.name), slot.tensor);
  }
  return named;
}

bool is_ignored_weight(std::string_view name) {
  return name == kLmHead || name.ends_with("rotary_emb.inv_freq") ||
         name.ends_with(".num_batches_tracked");
}

bool is_ignored_weight(std::string_view name, const DecoderConfig& config) {
  const std::string_view own = names_of(config).ignored_prefix;
  std::string_view in_block = name;
  const std::int64_t layer = take_number(in_block, names_of(config).block_prefix);
  if (layer >= 0 && config.num_shared_kv_layers > 0 &&
      shares_kv(config, static_cast<std::size_t>(layer)) && is_kv_name(in_block))
    return true;
  return is_ignored_weight(name) || (!own.empty() && name.starts_with(own));
}

std::vector<FusedPart> parts_of_fused(std::string_view name, std::int64_t num_experts,
                                      std::int64_t rows, const WeightNames& names) {
  constexpr std::int64_t kMost = 65536;  // far above any published model
  std::vector<FusedPart> parts;
  if (names.experts == nullptr || num_experts > kMost) return parts;
  const ExpertNames& own = *names.experts;
  const auto [block, suffix] = split_block_name(name, names);
  const bool gate_up = suffix == own.fused_gate_up && rows % 2 == 0;
  if (block.empty() || (!gate_up && suffix != own.fused_down)) return parts;
  for (std::int64_t e = 0; e < num_experts; ++e) {
    const auto add = [&](std::string_view part, std::int64_t first, std::int64_t count) {
      parts.push_back({fmt::format("{}{}{}.{}", block, own.prefix, e, part), e, first, count});
    };
    if (gate_up) {
      add(own.gate, 0, rows / 2);
      add(own.up, rows / 2, rows / 2);
    } else {
      add(own.down, 0, rows);
    }
  }
  return parts;
}

std::vector<QkvPart> parts_of_qkv(std::string_view name, std::int64_t num_heads,
                                  std::int64_t num_kv_heads, std::int64_t head_dim,
                                  const WeightNames& names) {
  if (names.grouped_qkv == nullptr) return {};
  const GroupedQkv& own = *names.grouped_qkv;
  const auto [block, suffix] = split_block_name(name, names);
  if (block.empty() || suffix != own.fused) return {};
  const std::int64_t queries = num_heads / num_kv_heads * head_dim;
  const auto part = [&, &prefix = block](std::string_view own_name, std::int64_t first,
                                         std::int64_t rows) {
    return QkvPart{prefix + std::string(own_name), first, rows, queries + 2 * head_dim,
                   num_kv_heads};
  };
  return {part(own.q, 0, queries), part(own.k, queries, head_dim),
          part(own.v, queries + head_dim, head_dim)};
}

std::string published_name(const std::string& name, const WeightNames& names) {
  if (names.experts == nullptr) return name;
  const auto [block, suffix] = split_block_name(name, names);
  if (block.empty() || suffix != names.experts->fused_router) return name;
  return block + std::string(names.experts->router);
}

std::int64_t layer_of_weight(std::string_view name, const DecoderConfig& config) {
  return take_number(name, names_of(config).block_prefix);
}

std::int64_t expert_of_weight(std::string_view name, const DecoderConfig& config) {
  const WeightNames& names = names_of(config);
  if (names.experts == nullptr || take_number(name, names.block_prefix) < 0) return -1;
  return take_number(name, names.experts->prefix);
}

}  // namespace charm::engine
