#include "charm/engine/config_reader.h"
#include "charm/engine/families/block_slots.h"
#include "charm/engine/families/family.h"
#include "charm/engine/families/settings.h"
#include "charm/engine/model_config.h"

namespace charm::engine {
namespace {

// Gemma2Config's where config.json does not mention them; null means none.
constexpr std::int64_t kDefaultWindow = 4096;
constexpr double kDefaultSoftcap = 50.0;
constexpr double kDefaultFinalSoftcap = 30.0;

void read_gemma2(const ConfigReader& reader, DecoderConfig& config) {
  refuse_foreign_settings(
      reader, {"attn_logit_softcapping", "final_logit_softcapping", "query_pre_attn_scalar",
               "sliding_window", "layer_types", "attention_bias"});
  require_settings(reader, {"num_key_value_heads"});
  read_gemma(reader, config);
  if (!reader.mentions("attn_logit_softcapping")) config.attention_softcap = kDefaultSoftcap;
  if (reader.present("attn_logit_softcapping"))
    config.attention_softcap = reader.positive("attn_logit_softcapping");
  config.final_logit_softcap =
      reader.mentions("final_logit_softcapping") ? 0.0 : kDefaultFinalSoftcap;
  if (reader.present("final_logit_softcapping"))
    config.final_logit_softcap = reader.positive("final_logit_softcapping");
  const std::int64_t window = read_window(reader, kDefaultWindow);
  if (window == 0)
    reader.fail("sliding_window", "every other layer needs one", "a positive integer");
  for (std::int64_t layer = 0; layer < config.num_layers; ++layer) {
    config.windows.push_back(layer % 2 == 0 ? window : 0);
  }
  read_layer_types(reader, window, config);
  config.rope = read_rope(reader);
}

constexpr std::span<const BlockSlot> kSlots[] = {kAttentionWeights, kAttentionBiases, kMlpWeights,
                                                 kFourNorms};
constexpr WeightNames kNames = usual_names(kSlots);

}  // namespace

const Family kGemma2{.model_type = "gemma2",
                     .sequence_classifier = "Gemma2ForSequenceClassification",
                     .causal_lm = "Gemma2ForCausalLM",
                     .read_config = read_gemma2,
                     .names = &kNames,
                     .default_head_dim = 256};

}  // namespace charm::engine
