#include "charm/engine/config_reader.h"
#include "charm/engine/families/block_slots.h"
#include "charm/engine/families/family.h"
#include "charm/engine/families/settings.h"
#include "charm/engine/model_config.h"

namespace charm::engine {
namespace {

void read_qwen2(const ConfigReader& reader, DecoderConfig& config) {
  refuse_foreign_settings(reader, {"sliding_window", "layer_types"});
  require_settings(reader, {"num_key_value_heads"});
  config.activation = read_hidden_act(reader);
  read_qwen_windows(reader, config);
  config.rope = read_rope(reader);
}

constexpr BlockSlot kQkvBiases[] = {
    {"self_attn.q_proj.bias", &BlockWeights::q_bias, WeightShape::kHeads},
    {"self_attn.k_proj.bias", &BlockWeights::k_bias, WeightShape::kKvHeads},
    {"self_attn.v_proj.bias", &BlockWeights::v_bias, WeightShape::kKvHeads},
};

constexpr std::span<const BlockSlot> kSlots[] = {kAttentionWeights, kQkvBiases, kMlpWeights,
                                                 kTwoNorms};
constexpr WeightNames kNames = usual_names(kSlots);

}  // namespace

const Family kQwen2{.model_type = "qwen2",
                    .sequence_classifier = "Qwen2ForSequenceClassification",
                    .causal_lm = "Qwen2ForCausalLM",
                    .read_config = read_qwen2,
                    .names = &kNames};

}  // namespace charm::engine
