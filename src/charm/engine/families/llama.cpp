#include "charm/engine/config_reader.h"
#include "charm/engine/families/block_slots.h"
#include "charm/engine/families/family.h"
#include "charm/engine/families/settings.h"
#include "charm/engine/model_config.h"

namespace charm::engine {
namespace {

void read_llama(const ConfigReader& reader, DecoderConfig& config) {
  refuse_foreign_settings(reader, {"attention_bias", "mlp_bias"});
  config.activation = read_hidden_act(reader);
  config.attention_bias = reader.boolean("attention_bias", false);
  config.mlp_bias = reader.boolean("mlp_bias", false);
  config.rope = read_rope(reader);
}

constexpr BlockSlot kMlpBiases[] = {
    {"mlp.gate_proj.bias", &BlockWeights::gate_bias, WeightShape::kMlp, BiasOf::kMlp},
    {"mlp.up_proj.bias", &BlockWeights::up_bias, WeightShape::kMlp, BiasOf::kMlp},
    {"mlp.down_proj.bias", &BlockWeights::down_bias, WeightShape::kModel, BiasOf::kMlp},
};

constexpr std::span<const BlockSlot> kSlots[] = {kAttentionWeights, kAttentionBiases, kMlpWeights,
                                                 kMlpBiases, kTwoNorms};
constexpr WeightNames kNames = usual_names(kSlots);

}  // namespace

const Family kLlama{.model_type = "llama",
                    .sequence_classifier = "LlamaForSequenceClassification",
                    .causal_lm = "LlamaForCausalLM",
                    .read_config = read_llama,
                    .names = &kNames};

}  // namespace charm::engine
