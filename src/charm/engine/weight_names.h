#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "charm/engine/decoder_weights.h"

namespace charm::engine {

// D model width, H query heads, K key/value heads, E head width, F mlp width, V vocabulary, X
// experts.

/// Shape of a tensor in terms of the config.
enum class WeightShape {
  kEmbedding,       ///< [V, D]
  kHead,            ///< weight or bias of a head's layer
  kNorm,            ///< [D]
  kHeadNorm,        ///< [E]
  kHeadsNorm,       ///< [H*E]: one norm over all heads
  kKvHeadsNorm,     ///< [K*E]
  kModel,           ///< [D]
  kHeads,           ///< [H*E]
  kKvHeads,         ///< [K*E]
  kMlp,             ///< [F]
  kHeadsByModel,    ///< [H*E, D]
  kKvHeadsByModel,  ///< [K*E, D]
  kModelByHeads,    ///< [D, H*E]
  kMlpByModel,      ///< [F, D]
  kModelByMlp,      ///< [D, F]
  kQkvByModel,      ///< [(H + 2K)*E, D]
  kGateUpByModel,   ///< [2F, D]
  kRouter,          ///< [X, D]
  kExpertByModel,   ///< [F, D] of an expert
  kModelByExpert,   ///< [D, F] of an expert
  // Of a gated delta net: C channels, L value heads of width U, W taps.
  kDeltaChannels,  ///< [C, D]
  kDeltaValues,    ///< [L*U, D]
  kDeltaHeads,     ///< [L, D]
  kDeltaConv,      ///< [C, 1, W]
  kDeltaRate,      ///< [L], the logarithm of the decay's rate
  kDeltaBias,      ///< [L], of the decay's input
  kDeltaNorm,      ///< [U]; scales by the weight even where the other norms add 1
  kDeltaOutput,    ///< [D, L*U]
  // Of per-layer embeddings: N layers, P values each.
  kPerLayerEmbedding,   ///< [V, N*P]
  kPerLayersByModel,    ///< [N*P, D]
  kPerLayerNorm,        ///< [P]
  kPerLayerByModel,     ///< [P, D]
  kModelByPerLayer,     ///< [D, P]
  kPerLayerOutputNorm,  ///< [D]
  kLayerScalar,         ///< [1]
  kEncoder,             ///< of a bidirectional encoder, whose slots have shapes of their own
};

constexpr bool is_norm(WeightShape kind) {
  return kind == WeightShape::kNorm || kind == WeightShape::kHeadNorm ||
         kind == WeightShape::kHeadsNorm || kind == WeightShape::kKvHeadsNorm ||
         kind == WeightShape::kPerLayerNorm || kind == WeightShape::kPerLayerOutputNorm;
}

/// Heads, routers and a delta net's decay compute in float32 whatever the model's dtype, and keep
/// their stored precision.
constexpr bool is_float32(WeightShape kind) {
  return kind == WeightShape::kHead || kind == WeightShape::kRouter ||
         kind == WeightShape::kDeltaRate || kind == WeightShape::kDeltaBias;
}

constexpr bool is_per_layer(WeightShape kind) {
  return kind >= WeightShape::kPerLayerEmbedding && kind <= WeightShape::kPerLayerOutputNorm;
}

constexpr bool is_delta_net(WeightShape kind) {
  return kind >= WeightShape::kDeltaChannels && kind <= WeightShape::kDeltaOutput;
}

/// Config flag that enables a bias.
enum class BiasOf { kNothing, kAttention, kMlp };

/// One tensor of a block: its Hugging Face name after "<block_prefix>N.", its member, its shape.
struct BlockSlot {
  std::string_view suffix;
  Tensor BlockWeights::* member;
  WeightShape shape;
  BiasOf bias = BiasOf::kNothing;
};

/// Names of a layer's router and experts after "<block_prefix>N."; an expert's are
/// "<prefix>E.<gate>" and so on.
struct ExpertNames {
  std::string_view router, prefix, gate, up, down;
  /// The same as transformers 5 holds them in memory, names them in adapters, and writes them with
  /// save_pretrained(save_original_format=False): all experts in one tensor, gate above up.
  std::string_view fused_router = "mlp.gate.weight";
  std::string_view fused_gate_up = "mlp.experts.gate_up_proj";  ///< [X, 2F, D]
  std::string_view fused_down = "mlp.experts.down_proj";        ///< [X, D, F]
};

/// Query, key and value of each key/value head side by side in one tensor: the rows of its query
/// heads, its key, its value. It is read as three tensors.
struct GroupedQkv {
  std::string_view fused, q, k, v;  ///< after "<block_prefix>N."
};

/// A family's Hugging Face tensor names.
struct WeightNames {
  std::string_view embedding;
  std::string_view block_prefix;  ///< "model.layers."
  std::span<const std::span<const BlockSlot>>
      block_slots;  ///< in order, see families/block_slots.h
  std::string_view final_norm;
  const ExpertNames* experts = nullptr;     ///< of layers with experts in place of the MLP
  const GroupedQkv* grouped_qkv = nullptr;  ///< as stored, where q, k and v are fused so
  /// Of models with per-layer embeddings.
  std::string_view per_layer_embedding = {}, per_layer_projection = {}, per_layer_norm = {};
  std::string_view ignored_prefix = {};  ///< of further tensors that do not score; empty: none
};

/// One tensor that the config implies.
struct WeightSlot {
  std::string name;
  WeightShape kind;
  std::vector<std::int64_t> shape;
  Tensor* tensor;         ///< in the weights passed to `weight_slots`
  std::int64_t row = -1;  ///< of the stored tensor, as [1, D]; -1: all of it
};

/// Every tensor of the model in a fixed order: embedding, blocks in order, final norm, head (where
/// the config has one). Sizes `weights.blocks` to the config.
std::vector<WeightSlot> weight_slots(DecoderWeights& weights, const DecoderConfig& config);

/// A causal LM's LM head.
inline constexpr std::string_view kLmHead = "lm_head.weight";

/// Whether a tensor of this name is ignored in a reward model's checkpoint: the LM head, and
/// inv_freq buffers of old transformers versions, BatchNorm's counts of training batches, and what
/// the family ignores.
bool is_ignored_weight(std::string_view name, const DecoderConfig& config);
/// Those of every family.
bool is_ignored_weight(std::string_view name);

/// The layer's number when `name` belongs to a block ("model.layers.7.mlp.up_proj.weight" -> 7),
/// otherwise -1.
std::int64_t layer_of_weight(std::string_view name, const DecoderConfig& config);

/// An expert's tensor in a fused one: rows `first` .. `first + rows` of matrix `expert`.
struct FusedPart {
  std::string name;  ///< in published files
  std::int64_t expert = 0, first = 0, rows = 0;
};

/// The parts of a fused tensor of `num_experts` matrices of `rows` rows; none for other names.
std::vector<FusedPart> parts_of_fused(std::string_view name, std::int64_t num_experts,
                                      std::int64_t rows, const WeightNames& names);

/// A tensor of a fused one: `count` blocks of `rows` rows.
struct QkvPart {
  std::string name;
  std::int64_t first = 0, rows = 0, stride = 0, count = 0;
};

/// The parts of a GroupedQkv of H query and K key/value heads of width E; none for other names.
std::vector<QkvPart> parts_of_qkv(std::string_view name, std::int64_t num_heads,
                                  std::int64_t num_kv_heads, std::int64_t head_dim,
                                  const WeightNames& names);

/// The published name of a router under its name in memory; other names as they are.
std::string published_name(const std::string& name, const WeightNames& names);

/// The expert's number when `name` belongs to one ("model.layers.7.mlp.experts.3.up_proj.weight" ->
/// 3), otherwise -1.
std::int64_t expert_of_weight(std::string_view name, const DecoderConfig& config);

}  // namespace charm::engine
