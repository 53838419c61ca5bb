#include "charm/model/families/llama.h"

#include "charm/model/config_reader.h"
#include "charm/model/model_config.h"
#include "charm/model/rope_config.h"

namespace charm::model {
namespace {

// Settings of relatives of Llama that change the forward pass. transformers' Llama code would
// silently ignore them; a config.json that carries one is mislabelled, so its scores could not be
// trusted.
constexpr std::string_view kForeignSettings[] = {"attn_logit_softcapping",
                                                 "final_logit_softcapping",
                                                 "query_pre_attn_scalar",
                                                 "num_local_experts",
                                                 "num_experts",
                                                 "use_qk_norm",
                                                 "qk_layernorm",
                                                 "logit_scale",
                                                 "embedding_multiplier"};

void read_llama(const ConfigReader& reader, DecoderConfig& config) {
  for (const std::string_view key : kForeignSettings)
    reader.refuse_if_set(key, "a Llama model has no such setting");
  if (reader.present("sliding_window") && reader.boolean("use_sliding_window", true)) {
    reader.fail("sliding_window", "a Llama model attends to all earlier tokens", "null");
  }
  config.attention_bias = reader.boolean("attention_bias", false);
  config.mlp_bias = reader.boolean("mlp_bias", false);
  config.rope = read_rope(reader);
}

constexpr BlockSlot kBlockSlots[] = {
    {"self_attn.q_proj.weight", &BlockWeights::q_HED, WeightShape::kHeadsByModel},
    {"self_attn.k_proj.weight", &BlockWeights::k_KED, WeightShape::kKvHeadsByModel},
    {"self_attn.v_proj.weight", &BlockWeights::v_KED, WeightShape::kKvHeadsByModel},
    {"self_attn.o_proj.weight", &BlockWeights::o_DHE, WeightShape::kModelByHeads},
    {"self_attn.q_proj.bias", &BlockWeights::q_bias, WeightShape::kHeads, BiasOf::kAttention},
    {"self_attn.k_proj.bias", &BlockWeights::k_bias, WeightShape::kKvHeads, BiasOf::kAttention},
    {"self_attn.v_proj.bias", &BlockWeights::v_bias, WeightShape::kKvHeads, BiasOf::kAttention},
    {"self_attn.o_proj.bias", &BlockWeights::o_bias, WeightShape::kModel, BiasOf::kAttention},
    {"mlp.gate_proj.weight", &BlockWeights::gate_FD, WeightShape::kMlpByModel},
    {"mlp.up_proj.weight", &BlockWeights::up_FD, WeightShape::kMlpByModel},
    {"mlp.down_proj.weight", &BlockWeights::down_DF, WeightShape::kModelByMlp},
    {"mlp.gate_proj.bias", &BlockWeights::gate_bias, WeightShape::kMlp, BiasOf::kMlp},
    {"mlp.up_proj.bias", &BlockWeights::up_bias, WeightShape::kMlp, BiasOf::kMlp},
    {"mlp.down_proj.bias", &BlockWeights::down_bias, WeightShape::kModel, BiasOf::kMlp},
    {"input_layernorm.weight", &BlockWeights::input_norm_D, WeightShape::kNorm},
    {"post_attention_layernorm.weight", &BlockWeights::post_attention_norm_D, WeightShape::kNorm},
};

constexpr WeightNames kNames{.embedding = "model.embed_tokens.weight",
                             .block_prefix = "model.layers.",
                             .block_slots = kBlockSlots,
                             .final_norm = "model.norm.weight",
                             .head = "score.weight"};

}  // namespace

const Family kLlama{.model_type = "llama",
                    .sequence_classifier = "LlamaForSequenceClassification",
                    .causal_lm = "LlamaForCausalLM",
                    .read_config = read_llama,
                    .names = &kNames};

}  // namespace charm::model
