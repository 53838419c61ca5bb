#include "charm/engine/config_reader.h"
#include "charm/engine/families/block_slots.h"
#include "charm/engine/families/family.h"
#include "charm/engine/families/settings.h"
#include "charm/engine/model_config.h"

namespace charm::engine {
namespace {

// MixtralConfig's where config.json does not mention them.
constexpr double kDefaultEps = 1e-5;
constexpr double kDefaultTheta = 1000000.0;

void read_mixtral(const ConfigReader& reader, DecoderConfig& config) {
  refuse_foreign_settings(reader, {"sliding_window", "num_local_experts", "num_experts_per_tok"});
  require_settings(reader, {"num_key_value_heads", "num_local_experts", "num_experts_per_tok"});
  config.activation = read_hidden_act(reader);
  if (reader.present("norm_topk_prob"))
    reader.fail("norm_topk_prob", "a mixtral's weights always sum to 1", "nothing");
  config.rms_norm_eps = reader.positive_or("rms_norm_eps", kDefaultEps);
  const std::int64_t window = read_window(reader, /*fallback=*/0);
  if (window > 0) config.windows.assign(static_cast<std::size_t>(config.num_layers), window);
  config.experts = read_experts(reader, "num_local_experts", config.intermediate_size);
  config.rope = read_rope(reader, {.default_theta = kDefaultTheta});
}

constexpr ExpertNames kExperts{.router = "block_sparse_moe.gate.weight",
                               .prefix = "block_sparse_moe.experts.",
                               .gate = "w1.weight",
                               .up = "w3.weight",
                               .down = "w2.weight"};
constexpr std::span<const BlockSlot> kSlots[] = {kAttentionWeights, kTwoNorms};
constexpr WeightNames kNames = usual_names(kSlots, &kExperts);

}  // namespace

const Family kMixtral{.model_type = "mixtral",
                      .sequence_classifier = "MixtralForSequenceClassification",
                      .causal_lm = "MixtralForCausalLM",
                      .read_config = read_mixtral,
                      .names = &kNames};

}  // namespace charm::engine
