#include "charm/engine/config_reader.h"
#include "charm/engine/families/block_slots.h"
#include "charm/engine/families/family.h"
#include "charm/engine/families/settings.h"
#include "charm/engine/model_config.h"

namespace charm::engine {
namespace {

// Gemma3TextConfig's where config.json does not mention them.
constexpr std::int64_t kDefaultWindow = 4096;
constexpr std::int64_t kDefaultPattern = 6;  // every sixth layer uses global attention
constexpr double kGlobalTheta = 1000000.0;
constexpr double kLocalTheta = 10000.0;

void read_gemma3(const ConfigReader& reader, DecoderConfig& config) {
  // transformers' Gemma-3 config has attn_logit_softcapping but never applies it.
  refuse_foreign_settings(reader, {"final_logit_softcapping", "query_pre_attn_scalar",
                                   "sliding_window", "layer_types", "attention_bias"});
  require_settings(reader, {"num_key_value_heads"});
  read_gemma(reader, config);
  const std::int64_t window = read_window(reader, kDefaultWindow);
  if (window == 0) reader.fail("sliding_window", "most layers need one", "a positive integer");
  config.final_logit_softcap = reader.positive_or("final_logit_softcapping", 0.0);
  const std::int64_t pattern = reader.integer_or("sliding_window_pattern", kDefaultPattern, 1);
  for (std::int64_t layer = 0; layer < config.num_layers; ++layer) {
    config.windows.push_back((layer + 1) % pattern != 0 ? window : 0);
  }
  read_layer_types(reader, window, config);
  config.rope = read_layer_rope(reader, {.layers = "full_attention",
                                         .theta_key = "rope_theta",
                                         .default_theta = kGlobalTheta,
                                         .scaled = true});
  config.local_rope = read_layer_rope(reader, {.layers = "sliding_attention",
                                               .theta_key = "rope_local_base_freq",
                                               .default_theta = kLocalTheta,
                                               .scaled = false});
}

constexpr std::span<const BlockSlot> kSlots[] = {kAttentionWeights, kAttentionBiases, kQkNorms,
                                                 kMlpWeights, kFourNorms};
constexpr WeightNames kNames = usual_names(kSlots);

}  // namespace

const Family kGemma3{.model_type = "gemma3_text",
                     .sequence_classifier = "Gemma3TextForSequenceClassification",
                     .causal_lm = "Gemma3ForCausalLM",
                     .read_config = read_gemma3,
                     .names = &kNames,
                     .default_head_dim = 256};

}  // namespace charm::engine
