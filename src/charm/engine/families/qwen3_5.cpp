#include <fmt/format.h>

#include "charm/engine/config_reader.h"
#include "charm/engine/families/block_slots.h"
#include "charm/engine/families/family.h"
#include "charm/engine/families/settings.h"
#include "charm/engine/model_config.h"

namespace charm::engine {
namespace {

// Qwen3_5TextConfig's where config.json does not mention them.
constexpr double kDefaultPartial = 0.25;      // share of a head's values that RoPE rotates
constexpr std::int64_t kDefaultInterval = 4;  // every fourth layer has attention

/// Names of layers as transformers knows them, old ones included (remap_legacy_layer_types).
bool is_linear(const ConfigReader& reader, const std::string& type) {
  if (type == "linear_attention" || type == "mamba" || type == "conv") return true;
  if (type != "full_attention" && type != "attention") {
    reader.fail("layer_types", fmt::format("'{}' is not supported", type),
                "linear_attention and full_attention only");
  }
  return false;
}

std::vector<std::int64_t> read_linear_layers(const ConfigReader& reader, std::int64_t num_layers) {
  const std::vector<std::string> types = reader.texts("layer_types");
  const std::int64_t interval = reader.integer_or("full_attention_interval", kDefaultInterval, 1);
  if (!types.empty() && std::ssize(types) != num_layers) {
    reader.fail("layer_types", "", fmt::format("one entry for each of the {} layers", num_layers));
  }
  std::vector<std::int64_t> linear;
  for (std::int64_t layer = 0; layer < num_layers; ++layer) {
    const bool by_type = !types.empty();
    if (by_type ? is_linear(reader, types[static_cast<std::size_t>(layer)])
                : (layer + 1) % interval != 0)
      linear.push_back(layer);
  }
  return linear;
}

DeltaNetConfig read_delta_net(const ConfigReader& reader, std::int64_t num_layers) {
  DeltaNetConfig net;
  net.layers = read_linear_layers(reader, num_layers);
  net.shape = {.key_heads = reader.integer_or("linear_num_key_heads", 16, 1),
               .value_heads = reader.integer_or("linear_num_value_heads", 32, 1),
               .key_dim = reader.integer_or("linear_key_head_dim", 128, 1),
               .value_dim = reader.integer_or("linear_value_head_dim", 128, 1)};
  net.taps = reader.integer_or("linear_conv_kernel_dim", 4, 2);
  if (net.shape.value_heads % net.shape.key_heads != 0) {
    reader.fail("linear_num_value_heads", "",
                fmt::format("a multiple of linear_num_key_heads ({})", net.shape.key_heads));
  }
  return net;
}

void read_qwen3_5(const ConfigReader& reader, DecoderConfig& config) {
  refuse_foreign_settings(reader, {"layer_types", "attention_bias"});
  require_settings(reader, {"num_key_value_heads"});
  if (read_hidden_act(reader) != Activation::kSilu)
    reader.fail("hidden_act", "the layers of linear attention have it too", "\"silu\"");
  if (!reader.boolean("attn_output_gate", true))
    reader.fail("attn_output_gate", "attention of this type is always gated", "true");
  config.attention_bias = reader.boolean("attention_bias", false);
  config.attention_output_gate = true;
  config.norms_add_one = true;
  config.delta_net = read_delta_net(reader, config.num_layers);
  config.rope =
      read_rope(reader, {.partial = true, .default_partial = kDefaultPartial, .multimodal = true});
}

constexpr std::span<const BlockSlot> kSlots[] = {kAttentionWeights, kAttentionBiases, kQkNorms,
                                                 kDeltaNetWeights,  kMlpWeights,      kTwoNorms};
// Published checkpoints hold layers that predict further tokens (mtp), which transformers ignores.
constexpr WeightNames kNames = {.embedding = "model.embed_tokens.weight",
                                .block_prefix = "model.layers.",
                                .block_slots = kSlots,
                                .final_norm = "model.norm.weight",
                                .ignored_prefix = "mtp."};

}  // namespace

const Family kQwen35{.model_type = "qwen3_5_text",
                     .sequence_classifier = "Qwen3_5TextForSequenceClassification",
                     .causal_lm = "Qwen3_5ForCausalLM",
                     .read_config = read_qwen3_5,
                     .names = &kNames,
                     .default_head_dim = 256};

}  // namespace charm::engine
