#include "charm/engine/config_reader.h"
#include "charm/engine/families/block_slots.h"
#include "charm/engine/families/family.h"
#include "charm/engine/families/settings.h"
#include "charm/engine/model_config.h"

namespace charm::engine {
namespace {

// Phi3Config's where config.json does not mention them.
constexpr double kDefaultEps = 1e-5;
constexpr std::int32_t kDefaultPad = 32000;

void read_phi3(const ConfigReader& reader, DecoderConfig& config) {
  refuse_foreign_settings(reader, {"sliding_window"});
  config.activation = read_hidden_act(reader);
  config.rms_norm_eps = reader.positive_or("rms_norm_eps", kDefaultEps);
  if (!reader.mentions("pad_token_id")) config.pad_token_id = kDefaultPad;
  const std::int64_t window = read_window(reader, /*fallback=*/0);
  if (window > 0) config.windows.assign(static_cast<std::size_t>(config.num_layers), window);
  config.rope = read_rope(reader, {.phi3_names = true, .partial = true});
  const std::string_view place =
      reader.present("rope_parameters") ? "rope_parameters" : "rope_scaling";
  if (config.rope.kind != RopeKind::kDefault && config.rope.kind != RopeKind::kLongRope)
    reader.fail(place, "a phi3 model has no other rope types", "default or longrope");
  if (config.rope.kind == RopeKind::kLongRope) {
    require_settings(reader, {"original_max_position_embeddings"});
    config.rope.recomputes_cache = true;  // Phi3ForCausalLM.prepare_inputs_for_generation
  }
}

constexpr std::span<const BlockSlot> kSlots[] = {kFusedAttentionWeights, kFusedMlpWeights,
                                                 kTwoNorms};
constexpr WeightNames kNames = usual_names(kSlots);

}  // namespace

const Family kPhi3{.model_type = "phi3",
                   .sequence_classifier = "Phi3ForSequenceClassification",
                   .causal_lm = "Phi3ForCausalLM",
                   .read_config = read_phi3,
                   .names = &kNames,
                   .has_published_code = true};

}  // namespace charm::engine
