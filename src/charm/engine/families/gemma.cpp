#include <fmt/format.h>

#include "charm/engine/config_reader.h"
#include "charm/engine/families/block_slots.h"
#include "charm/engine/families/family.h"
#include "charm/engine/families/settings.h"
#include "charm/engine/model_config.h"

namespace charm::engine {
namespace {

void read_gemma1(const ConfigReader& reader, DecoderConfig& config) {
  refuse_foreign_settings(reader, {"attention_bias"});
  require_settings(reader, {"num_key_value_heads"});
  read_gemma(reader, config);
  // transformers 5.17 and 4.38 read hidden_act: early configs say gelu (exact), with which the
  // models were trained. The versions between read hidden_activation.
  const Activation newer = config.activation;
  config.activation = read_gate(reader, "hidden_act", "gelu_pytorch_tanh");
  if (reader.present("hidden_activation") && newer != config.activation) {
    reader.fail("hidden_activation",
                fmt::format("hidden_act is \"{}\", and versions of transformers differ in which of "
                            "the two they take; keep the one that the model was trained with",
                            reader.text_or("hidden_act", "gelu_pytorch_tanh")),
                "nothing");
  }
  config.attention_scale = 0.0;  // 1 / sqrt(head_dim): there is no query_pre_attn_scalar
  config.rope = read_rope(reader);
}

constexpr std::span<const BlockSlot> kSlots[] = {kAttentionWeights, kAttentionBiases, kMlpWeights,
                                                 kTwoNorms};
constexpr WeightNames kNames = usual_names(kSlots);

}  // namespace

const Family kGemma{.model_type = "gemma",
                    .sequence_classifier = "GemmaForSequenceClassification",
                    .causal_lm = "GemmaForCausalLM",
                    .read_config = read_gemma1,
                    .names = &kNames,
                    .default_head_dim = 256};

}  // namespace charm::engine
