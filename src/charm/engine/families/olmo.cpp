#include "charm/engine/config_reader.h"
#include "charm/engine/families/block_slots.h"
#include "charm/engine/families/family.h"
#include "charm/engine/families/settings.h"
#include "charm/engine/model_config.h"

namespace charm::engine {
namespace {

// OlmoConfig's and Olmo3Config's where config.json does not mention them.
constexpr double kDefaultEps = 1e-5;
constexpr std::int32_t kDefaultPad = 1;
constexpr std::int64_t kDefaultWindow = 4096;
constexpr std::int64_t kPattern = 4;  // every fourth layer uses global attention
constexpr double kOlmo3Theta = 500000.0;

void read_olmo(const ConfigReader& reader, DecoderConfig& config) {
  config.activation = read_hidden_act(reader);
  config.rms_norm_eps = reader.positive_or("rms_norm_eps", kDefaultEps);
  config.attention_bias = reader.boolean("attention_bias", false);
  if (!reader.mentions("pad_token_id")) config.pad_token_id = kDefaultPad;
}

void read_olmo2(const ConfigReader& reader, DecoderConfig& config) {
  refuse_foreign_settings(reader, {"attention_bias"});
  read_olmo(reader, config);
  config.rope = read_rope(reader);
}

/// transformers 4.57 uses a top-level rope_theta for all layers; 5.17 uses it for the global ones
/// and 500000 for the others.
void require_one_theta(const ConfigReader& reader) {
  if (!reader.present("rope_theta") || reader.positive("rope_theta") == kOlmo3Theta) return;
  if (reader.present("rope_parameters")) {
    const ConfigReader parameters = reader.object("rope_parameters");
    if (parameters.present("sliding_attention") &&
        parameters.object("sliding_attention").present("rope_theta"))
      return;
  }
  reader.fail("rope_theta",
              "versions of transformers differ in whether the layers with a sliding window have "
              "it; give rope_parameters.sliding_attention.rope_theta",
              "500000");
}

void read_olmo3(const ConfigReader& reader, DecoderConfig& config) {
  refuse_foreign_settings(reader, {"attention_bias", "sliding_window", "layer_types"});
  read_olmo(reader, config);
  const std::int64_t window = read_window(reader, kDefaultWindow);
  for (std::int64_t layer = 0; layer < config.num_layers && window > 0; ++layer) {
    config.windows.push_back((layer + 1) % kPattern != 0 ? window : 0);
  }
  if (window == 0 && !reader.present("layer_types"))
    reader.fail("sliding_window", "three of four layers need one", "a positive integer");
  read_layer_types(reader, window, config);
  require_one_theta(reader);
  config.rope = read_layer_rope(reader, {.layers = "full_attention",
                                         .theta_key = "rope_theta",
                                         .default_theta = kOlmo3Theta,
                                         .scaled = true});
  config.local_rope = read_layer_rope(reader, {.layers = "sliding_attention",
                                               .theta_key = "rope_theta",
                                               .default_theta = kOlmo3Theta,
                                               .scaled = false});
}

constexpr std::span<const BlockSlot> kSlots[] = {kAttentionWeights, kAttentionBiases, kWholeQkNorms,
                                                 kMlpWeights, kOutputNorms};
constexpr WeightNames kNames = usual_names(kSlots);

}  // namespace

const Family kOlmo2{.model_type = "olmo2",
                    .sequence_classifier = "Olmo2ForSequenceClassification",
                    .causal_lm = "Olmo2ForCausalLM",
                    .read_config = read_olmo2,
                    .names = &kNames};

const Family kOlmo3{.model_type = "olmo3",
                    .sequence_classifier = "Olmo3ForSequenceClassification",
                    .causal_lm = "Olmo3ForCausalLM",
                    .read_config = read_olmo3,
                    .names = &kNames};

}  // namespace charm::engine
