#include "charm/engine/config_reader.h"
#include "charm/engine/families/block_slots.h"
#include "charm/engine/families/family.h"
#include "charm/engine/families/settings.h"
#include "charm/engine/model_config.h"

namespace charm::engine {
namespace {

void read_qwen3(const ConfigReader& reader, DecoderConfig& config) {
  refuse_foreign_settings(reader, {"sliding_window", "layer_types", "attention_bias"});
  require_settings(reader, {"num_key_value_heads"});
  config.activation = read_hidden_act(reader);
  config.attention_bias = reader.boolean("attention_bias", false);
  read_qwen_windows(reader, config);
  config.rope = read_rope(reader);
}

constexpr std::span<const BlockSlot> kSlots[] = {kAttentionWeights, kAttentionBiases, kQkNorms,
                                                 kMlpWeights, kTwoNorms};
constexpr WeightNames kNames = usual_names(kSlots);

}  // namespace

const Family kQwen3{.model_type = "qwen3",
                    .sequence_classifier = "Qwen3ForSequenceClassification",
                    .causal_lm = "Qwen3ForCausalLM",
                    .read_config = read_qwen3,
                    .names = &kNames,
                    .default_head_dim = 128};

}  // namespace charm::engine
