#include "charm/engine/config_reader.h"
#include "charm/engine/families/block_slots.h"
#include "charm/engine/families/family.h"
#include "charm/engine/families/settings.h"
#include "charm/engine/model_config.h"

namespace charm::engine {
namespace {

// MistralConfig's where config.json does not mention one; null means none.
constexpr std::int64_t kDefaultWindow = 4096;

void read_mistral(const ConfigReader& reader, DecoderConfig& config) {
  refuse_foreign_settings(reader, {"sliding_window"});
  require_settings(reader, {"num_key_value_heads"});
  config.activation = read_hidden_act(reader);
  const std::int64_t window = read_window(reader, kDefaultWindow);
  if (window > 0) config.windows.assign(static_cast<std::size_t>(config.num_layers), window);
  config.rope = read_rope(reader);
}

constexpr std::span<const BlockSlot> kSlots[] = {kAttentionWeights, kMlpWeights, kTwoNorms};
constexpr WeightNames kNames = usual_names(kSlots);

}  // namespace

const Family kMistral{.model_type = "mistral",
                      .sequence_classifier = "MistralForSequenceClassification",
                      .causal_lm = "MistralForCausalLM",
                      .read_config = read_mistral,
                      .names = &kNames};

}  // namespace charm::engine
