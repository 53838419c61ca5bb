#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "charm/base/random.h"
#include "charm/engine/model_config.h"

// Configs of small random decoders with the features of the families, and random sequences for
// them.
namespace charm::engine {

inline DecoderConfig small_config() {
  DecoderConfig config;
  config.architecture = "LlamaForSequenceClassification";
  config.model_type = "llama";
  config.vocab_size = 100;
  config.hidden_size = 64;
  config.intermediate_size = 112;
  config.num_layers = 3;
  config.num_heads = 4;
  config.num_kv_heads = 2;
  config.head_dim = 16;
  config.max_positions = 2048;
  config.initializer_range = 0.2;  // large enough that attention is not uniform
  config.head = HeadKind::kLinear;
  return config;
}

/// All family-specific features at once, under Gemma-3's tensor names.
inline DecoderConfig featured_config() {
  DecoderConfig config = small_config();
  config.model_type = "gemma3_text";
  config.activation = Activation::kGeluTanh;
  config.embedding_scale = 8.0;
  config.norms_add_one = true;
  config.attention_scale = 0.5;
  config.attention_softcap = 4.0;
  config.windows = {70, 0, 24};
  config.local_rope = RopeConfig{.theta = 500.0};
  config.head = HeadKind::kTwoLayers;
  return config;
}

/// Dynamic NTK RoPE; most rows of the tests exceed its original length.
inline DecoderConfig dynamic_config() {
  DecoderConfig config = small_config();
  config.rope.kind = RopeKind::kDynamic;
  config.rope.factor = 4.0;
  config.rope.original_max_position_embeddings = 60;
  return config;
}

/// Experts in all layers but one, under Qwen3-MoE's tensor names.
inline DecoderConfig expert_config() {
  DecoderConfig config = small_config();
  config.model_type = "qwen3_moe";
  config.experts = ExpertConfig{
      .routing = {.num_experts = 7, .experts_per_token = 3}, .width = 40, .dense_layers = {1}};
  return config;
}

/// Fused projections, under Phi-3's tensor names.
inline DecoderConfig fused_config() {
  DecoderConfig config = small_config();
  config.model_type = "phi3";
  return config;
}

/// Gated delta nets in the first and the last layer, gated attention with partial RoPE in the
/// second, under Qwen3.5's tensor names.
inline DecoderConfig linear_config() {
  DecoderConfig config = small_config();
  config.model_type = "qwen3_5_text";
  config.norms_add_one = true;
  config.attention_output_gate = true;
  config.rope.partial_factor = 0.5;
  config.delta_net =
      DeltaNetConfig{.shape = {.key_heads = 2, .value_heads = 4, .key_dim = 24, .value_dim = 40},
                     .taps = 4,
                     .layers = {0, 2}};
  return config;
}

/// The same with dynamic NTK RoPE: long sequences have a prompt of their own.
inline DecoderConfig linear_dynamic_config() {
  DecoderConfig config = linear_config();
  config.rope = dynamic_config().rope;
  return config;
}

/// All features of Gemma-4: the last two layers use the K and V of the first two.
inline DecoderConfig gemma4_config() {
  DecoderConfig config = small_config();
  config.model_type = "gemma4_text";
  config.num_layers = 4;
  config.activation = Activation::kGeluTanh;
  config.embedding_scale = 8.0;
  config.attention_scale = 1.0;
  config.windows = {70, 0, 70, 0};
  config.global_layers = GlobalLayers{.num_kv_heads = 1, .head_dim = 24, .values_are_keys = true};
  config.num_shared_kv_layers = 2;
  config.shared_kv_mlps_are_double = true;
  config.norms_values = config.scales_layers = true;
  config.per_layer = PerLayerConfig{.width = 8, .vocab_size = 100};
  config.rope = {.kind = RopeKind::kProportional, .rotated_pairs = 0.5, .head_dim = 24};
  config.local_rope = RopeConfig{.theta = 500.0};
  return config;
}

inline std::vector<std::int32_t> random_ids(RandomStream& stream, std::size_t length) {
  std::vector<std::int32_t> ids(length);
  for (auto& id : ids) id = static_cast<std::int32_t>(stream.below(100));
  return ids;
}

}  // namespace charm::engine
