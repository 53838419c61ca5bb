#include <fmt/format.h>

#include <algorithm>

#include "charm/engine/config_reader.h"
#include "charm/engine/families/block_slots.h"
#include "charm/engine/families/family.h"
#include "charm/engine/families/settings.h"
#include "charm/engine/model_config.h"

namespace charm::engine {
namespace {

// Qwen3MoeConfig's where config.json does not mention one.
constexpr std::int64_t kDefaultWindow = 4096;

/// Every `decoder_sparse_step`-th layer has experts, and none of `mlp_only_layers`.
std::vector<std::int64_t> read_dense_layers(const ConfigReader& reader, std::int64_t num_layers) {
  const std::int64_t step = reader.integer_or("decoder_sparse_step", 1, 1);
  const std::vector<std::int64_t> listed = reader.integers("mlp_only_layers", 0);
  std::vector<std::int64_t> dense;
  for (std::int64_t layer = 0; layer < num_layers; ++layer) {
    const bool is_listed = std::find(listed.begin(), listed.end(), layer) != listed.end();
    if (is_listed || (layer + 1) % step != 0) dense.push_back(layer);
  }
  return dense;
}

void read_qwen3_moe(const ConfigReader& reader, DecoderConfig& config) {
  refuse_foreign_settings(reader,
                          {"sliding_window", "attention_bias", "num_experts", "num_local_experts",
                           "num_experts_per_tok", "moe_intermediate_size", "mlp_only_layers"});
  // transformers 5 writes num_local_experts.
  const std::string_view count_key =
      reader.present("num_local_experts") ? "num_local_experts" : "num_experts";
  require_settings(
      reader, {"num_key_value_heads", count_key, "num_experts_per_tok", "moe_intermediate_size"});
  config.activation = read_hidden_act(reader);
  config.attention_bias = reader.boolean("attention_bias", false);
  // As in transformers, of all layers: max_window_layers has no effect.
  const std::int64_t window =
      reader.boolean("use_sliding_window", false) ? read_window(reader, kDefaultWindow) : 0;
  if (window > 0) config.windows.assign(static_cast<std::size_t>(config.num_layers), window);
  config.experts = read_experts(reader, count_key, reader.integer("moe_intermediate_size", 1));
  if (reader.present("num_experts") &&
      reader.integer("num_experts", 1) != config.experts->routing.num_experts)
    reader.fail("num_experts", "num_local_experts is there too",
                fmt::format("{}", config.experts->routing.num_experts));
  config.experts->routing.normalise = reader.boolean("norm_topk_prob", false);
  config.experts->dense_layers = read_dense_layers(reader, config.num_layers);
  config.rope = read_rope(reader);
}

constexpr ExpertNames kExperts{.router = "mlp.gate.weight",
                               .prefix = "mlp.experts.",
                               .gate = "gate_proj.weight",
                               .up = "up_proj.weight",
                               .down = "down_proj.weight"};
constexpr std::span<const BlockSlot> kSlots[] = {kAttentionWeights, kAttentionBiases, kQkNorms,
                                                 kMlpWeights, kTwoNorms};
constexpr WeightNames kNames = usual_names(kSlots, &kExperts);

}  // namespace

const Family kQwen3Moe{.model_type = "qwen3_moe",
                       .sequence_classifier = "Qwen3MoeForSequenceClassification",
                       .causal_lm = "Qwen3MoeForCausalLM",
                       .read_config = read_qwen3_moe,
                       .names = &kNames};

}  // namespace charm::engine
