#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "charm/engine/config_reader.h"
#include "charm/engine/families/block_slots.h"
#include "charm/engine/families/family.h"
#include "charm/engine/families/settings.h"
#include "charm/engine/model_config.h"

namespace charm::engine {
namespace {

// Gemma4TextConfig's where config.json does not mention them.
constexpr std::int64_t kDefaultWindow = 512;
constexpr std::int64_t kDefaultPattern = 6;  // every sixth layer uses global attention
constexpr std::int64_t kDefaultGlobalHeadDim = 512;
constexpr std::int64_t kDefaultPerLayerWidth = 256;
constexpr std::int64_t kDefaultPerLayerVocab = 262144;

void refuse_variants(const ConfigReader& reader) {
  refuse_foreign_settings(reader, {"final_logit_softcapping", "sliding_window", "layer_types",
                                   "attention_bias", "use_bidirectional_attention"});
  reader.refuse_if_set("enable_moe_block", "a mixture of experts beside the MLP is not supported");
  // "vision" is causal for text.
  if (reader.text_or("use_bidirectional_attention", "vision") != "vision")
    reader.fail("use_bidirectional_attention", "an encoder is not supported", "null or \"vision\"");
}

void read_windows(const ConfigReader& reader, DecoderConfig& config) {
  const std::int64_t window = read_window(reader, kDefaultWindow);
  if (window == 0) reader.fail("sliding_window", "most layers need one", "a positive integer");
  for (std::int64_t layer = 0; layer < config.num_layers; ++layer) {
    config.windows.push_back((layer + 1) % kDefaultPattern != 0 ? window : 0);
  }
  read_layer_types(reader, window, config);
  config.windows.back() = 0;  // as in transformers, whatever layer_types says
}

/// Sizes of the layers without a window by their own keys, as published.
GlobalLayers read_global_sizes(const ConfigReader& reader, const DecoderConfig& config) {
  GlobalLayers global;
  global.values_are_keys = reader.boolean("attention_k_eq_v", false);
  global.head_dim = reader.integer_or("global_head_dim", kDefaultGlobalHeadDim, 2);
  global.num_kv_heads = global.values_are_keys ? reader.integer_or("num_global_key_value_heads",
                                                                   config.num_kv_heads, 1)
                                               : config.num_kv_heads;
  return global;
}

/// The same as transformers 5 writes them, by layer; what a layer does not name is as in the
/// others.
GlobalLayers read_layer_sizes(const ConfigReader& reader, const DecoderConfig& config) {
  const auto sizes = [&](const ConfigReader& own) {
    return GlobalLayers{
        .num_kv_heads = own.integer_or("num_key_value_heads", config.num_kv_heads, 1),
        .head_dim = own.integer_or("head_dim", config.head_dim, 2)};
  };
  const GlobalLayers usual{.num_kv_heads = config.num_kv_heads, .head_dim = config.head_dim};
  std::vector<GlobalLayers> layers(static_cast<std::size_t>(config.num_layers), usual);
  const ConfigReader all = reader.object("per_layer_config");
  for (const std::string& key : all.keys()) {
    std::int64_t layer = -1;
    std::from_chars(key.data(), key.data() + key.size(), layer);
    if (layer < 0 || layer >= config.num_layers)
      all.fail(key, "", fmt::format("layers 0 .. {}", config.num_layers - 1));
    const ConfigReader own = all.object(key);
    for (const std::string& name : own.keys()) {
      if (name != "head_dim" && name != "num_key_value_heads")
        own.fail(name, "layers may differ in head_dim and num_key_value_heads alone", "nothing");
    }
    layers[static_cast<std::size_t>(layer)] = sizes(own);
  }
  GlobalLayers global = layers.back();
  for (std::size_t layer = 0; layer < layers.size(); ++layer) {
    if (layers[layer] == (config.windows[layer] == 0 ? global : usual)) continue;
    reader.fail("per_layer_config", fmt::format("layer {} differs from others of its kind", layer),
                "the same sizes in all layers with a window, and in all without");
  }
  global.values_are_keys = reader.boolean("attention_k_eq_v", false);
  return global;
}

/// RoPE of one kind of layer: default, or of a share of the pairs of a head.
RopeConfig read_own_rope(const ConfigReader& reader, std::string_view kind, RopeConfig rope) {
  if (!reader.present("rope_parameters")) return rope;
  const ConfigReader own = reader.object("rope_parameters").object(kind);
  rope.theta = own.positive("rope_theta");
  const std::string type = own.text_or("rope_type", "default");
  if (type != "default" && type != "proportional")
    own.fail("rope_type", "", "default or proportional");
  const double share = own.positive_or("partial_rotary_factor", 1.0);
  if (share > 1.0) own.fail("partial_rotary_factor", "", "a number in (0, 1]");
  // transformers 5.17: default RoPE of this model has no partial factor.
  rope.kind = type == "default" ? RopeKind::kDefault : RopeKind::kProportional;
  rope.rotated_pairs = type == "default" ? 1.0 : share;
  rope.factor = type == "default" ? 1.0 : own.positive_or("factor", 1.0);
  return rope;
}

void read_shared_kv(const ConfigReader& reader, DecoderConfig& config) {
  const std::int64_t shared = reader.integer_or("num_kv_shared_layers", 0, 0);
  config.shared_kv_mlps_are_double = reader.boolean("use_double_wide_mlp", false);
  if (shared == 0) return;
  const std::int64_t first = config.num_layers - shared;
  for (std::int64_t layer = std::max<std::int64_t>(first, 0); layer < config.num_layers; ++layer) {
    const std::int64_t window = config.windows[static_cast<std::size_t>(layer)];
    const auto end = config.windows.begin() + std::max<std::int64_t>(first, 0);
    if (std::find(config.windows.begin(), end, window) == end) {
      reader.fail("num_kv_shared_layers",
                  fmt::format("layer {} has none of its kind before layer {}", layer, first),
                  "fewer layers");
    }
  }
  config.num_shared_kv_layers = shared;
}

void read_per_layer(const ConfigReader& reader, DecoderConfig& config) {
  const std::int64_t width =
      reader.integer_or("hidden_size_per_layer_input", kDefaultPerLayerWidth, 0);
  if (width == 0) return;
  config.per_layer = {
      .width = width,
      .vocab_size = reader.integer_or("vocab_size_per_layer_input", kDefaultPerLayerVocab, 1)};
  if (config.per_layer->vocab_size < config.vocab_size) {
    reader.fail("vocab_size_per_layer_input", "every token needs its inputs",
                fmt::format("at least vocab_size ({})", config.vocab_size));
  }
}

void read_gemma4(const ConfigReader& reader, DecoderConfig& config) {
  refuse_variants(reader);
  require_settings(reader, {"num_key_value_heads"});
  read_gemma(reader, config);
  if (config.activation != Activation::kGeluTanh)
    reader.fail("hidden_activation", "the per-layer inputs have it too", "\"gelu_pytorch_tanh\"");
  config.norms_add_one = false;
  config.attention_scale = 1.0;
  config.norms_values = config.scales_layers = true;
  config.final_logit_softcap = reader.positive_or("final_logit_softcapping", 0.0);
  read_windows(reader, config);
  config.global_layers = reader.present("per_layer_config") ? read_layer_sizes(reader, config)
                                                            : read_global_sizes(reader, config);
  if (config.num_heads % config.global_layers->num_kv_heads != 0)
    reader.fail("num_global_key_value_heads", "",
                fmt::format("a divisor of num_attention_heads ({})", config.num_heads));
  if (config.global_layers->head_dim % 2 != 0)
    reader.fail("global_head_dim", "RoPE pairs its halves", "an even number");
  read_shared_kv(reader, config);
  read_per_layer(reader, config);
  config.rope = read_own_rope(reader, "full_attention",
                              {.kind = RopeKind::kProportional,
                               .theta = 1000000.0,
                               .rotated_pairs = 0.25,
                               .head_dim = config.global_layers->head_dim});
  config.local_rope = read_own_rope(reader, "sliding_attention", {.theta = 10000.0});
}

constexpr BlockSlot kLayerScalar[] = {
    {"layer_scalar", &BlockWeights::layer_scalar_1, WeightShape::kLayerScalar}};
constexpr BlockSlot kPerLayerWeights[] = {
    {"per_layer_input_gate.weight", &BlockWeights::per_layer_gate_PD,
     WeightShape::kPerLayerByModel},
    {"per_layer_projection.weight", &BlockWeights::per_layer_out_DP, WeightShape::kModelByPerLayer},
    {"post_per_layer_input_norm.weight", &BlockWeights::per_layer_out_norm_D,
     WeightShape::kPerLayerOutputNorm}};
constexpr std::span<const BlockSlot> kSlots[] = {kAttentionWeights, kAttentionBiases, kQkNorms,
                                                 kMlpWeights,       kFourNorms,       kLayerScalar,
                                                 kPerLayerWeights};
constexpr WeightNames kNames = {.embedding = "model.embed_tokens.weight",
                                .block_prefix = "model.layers.",
                                .block_slots = kSlots,
                                .final_norm = "model.norm.weight",
                                .per_layer_embedding = "model.embed_tokens_per_layer.weight",
                                .per_layer_projection = "model.per_layer_model_projection.weight",
                                .per_layer_norm = "model.per_layer_projection_norm.weight"};

}  // namespace

const Family kGemma4{.model_type = "gemma4_text",
                     .sequence_classifier = "Gemma4TextForSequenceClassification",
                     .causal_lm = "Gemma4ForCausalLM",
                     .read_config = read_gemma4,
                     .names = &kNames,
                     .default_head_dim = 256};

}  // namespace charm::engine
