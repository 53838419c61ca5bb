#include "charm/engine/families/settings.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "charm/engine/config_reader.h"
#include "charm/engine/model_config.h"

namespace charm::engine {
namespace {

constexpr std::string_view kSettings[] = {"attn_logit_softcapping",
                                          "final_logit_softcapping",
                                          "query_pre_attn_scalar",
                                          "sliding_window",
                                          "layer_types",
                                          "attention_bias",
                                          "mlp_bias",
                                          "use_bidirectional_attention",
                                          "num_local_experts",
                                          "num_experts",
                                          "use_qk_norm",
                                          "qk_layernorm",
                                          "logit_scale",
                                          "embedding_multiplier",
                                          "clip_qkv",
                                          "num_experts_per_tok",
                                          "moe_intermediate_size",
                                          "mlp_only_layers",
                                          "shared_expert_intermediate_size",
                                          "n_shared_experts",
                                          "num_shared_experts",
                                          "router_jitter_noise",
                                          "resid_pdrop",
                                          "embd_pdrop"};

// Default sliding_window of transformers 5.17's Mistral, Qwen and Gemma configs.
constexpr std::int64_t kDefaultWindow = 4096;

struct NamedActivation {
  std::string_view name;
  Activation activation;
};
// transformers 5.17, activations.py: several names are formulas of one function.
constexpr NamedActivation kActivations[] = {{"silu", Activation::kSilu},
                                            {"swish", Activation::kSilu},
                                            {"gelu", Activation::kGelu},
                                            {"gelu_python", Activation::kGelu},
                                            {"gelu_pytorch_tanh", Activation::kGeluTanh},
                                            {"gelu_python_tanh", Activation::kGeluTanh},
                                            {"gelu_new", Activation::kGeluTanh},
                                            {"gelu_fast", Activation::kGeluTanh},
                                            {"gelu_accurate", Activation::kGeluTanh},
                                            {"quick_gelu", Activation::kQuickGelu},
                                            {"relu", Activation::kRelu},
                                            {"relu2", Activation::kReluSquared}};

constexpr std::int64_t kMostExperts = 65536;  // far above any published model

}  // namespace

void refuse_foreign_settings(const ConfigReader& reader,
                             std::initializer_list<std::string_view> own) {
  for (const std::string_view key : kSettings) {
    if (std::find(own.begin(), own.end(), key) != own.end()) continue;
    if (key == "sliding_window" && !reader.boolean("use_sliding_window", true)) continue;
    reader.refuse_if_set(key, fmt::format("a {} model has no such setting",
                                          reader.text_or("model_type", "model of this type")));
  }
}

void require_settings(const ConfigReader& reader, std::initializer_list<std::string_view> keys) {
  for (const std::string_view key : keys) {
    if (!reader.present(key))
      reader.fail(key, "transformers would default to a published model's value", "a value");
  }
}

Activation read_gate(const ConfigReader& reader, std::string_view key, std::string_view usual) {
  const std::string name = reader.text_or(key, usual);
  std::vector<std::string_view> known;
  for (const NamedActivation& entry : kActivations) {
    if (entry.name == name) return entry.activation;
    known.push_back(entry.name);
  }
  reader.fail(key, "an activation that is not supported",
              fmt::format("one of {}", fmt::join(known, ", ")));
}

Activation read_hidden_act(const ConfigReader& reader) {
  return read_gate(reader, "hidden_act", "silu");
}

std::int64_t read_window(const ConfigReader& reader, std::int64_t fallback) {
  if (!reader.mentions("sliding_window")) return fallback;
  return reader.integer_or("sliding_window", 0, 1);
}

void read_layer_types(const ConfigReader& reader, std::int64_t window, DecoderConfig& config) {
  const std::vector<std::string> types = reader.texts("layer_types");
  if (types.empty()) return;
  if (static_cast<std::int64_t>(types.size()) != config.num_layers) {
    reader.fail("layer_types", "",
                fmt::format("one entry for each of the {} layers", config.num_layers));
  }
  config.windows.clear();
  for (const std::string& type : types) {
    if (type != "full_attention" && type != "sliding_attention") {
      reader.fail("layer_types", fmt::format("'{}' is not supported", type),
                  "full_attention and sliding_attention only");
    }
    const bool slides = type == "sliding_attention";
    if (slides && window == 0)
      reader.fail("layer_types", "there are sliding-window layers, but sliding_window is unset",
                  "full_attention only");
    config.windows.push_back(slides ? window : 0);
  }
}

void read_qwen_windows(const ConfigReader& reader, DecoderConfig& config) {
  constexpr std::int64_t kDefaultFullLayers = 28;
  const std::int64_t window =
      reader.boolean("use_sliding_window", false) ? read_window(reader, kDefaultWindow) : 0;
  const std::int64_t full_layers = reader.integer_or("max_window_layers", kDefaultFullLayers, 0);
  for (std::int64_t layer = 0; layer < config.num_layers && window > 0; ++layer) {
    config.windows.push_back(layer >= full_layers ? window : 0);
  }
  read_layer_types(reader, window, config);
}

ExpertConfig read_experts(const ConfigReader& reader, std::string_view count_key,
                          std::int64_t width) {
  ExpertConfig experts;
  experts.width = width;
  experts.routing.num_experts = reader.integer(count_key, 1, kMostExperts);
  experts.routing.experts_per_token =
      reader.integer("num_experts_per_tok", 1, experts.routing.num_experts);
  return experts;
}

void read_gemma(const ConfigReader& reader, DecoderConfig& config) {
  config.activation = read_gate(reader, "hidden_activation", "gelu_pytorch_tanh");
  config.norms_add_one = true;
  config.embedding_scale = std::sqrt(static_cast<double>(config.hidden_size));
  config.attention_scale = 1.0 / std::sqrt(reader.positive_or("query_pre_attn_scalar", 256.0));
  config.attention_bias = reader.boolean("attention_bias", false);
  // Defaults of Gemma's configs in transformers.
  if (!reader.mentions("pad_token_id")) config.pad_token_id = 0;
  config.tie_word_embeddings = reader.boolean("tie_word_embeddings", true);
}

}  // namespace charm::engine
