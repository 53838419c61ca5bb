#include "charm/engine/families/wrapper.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "charm/base/error.h"

namespace charm::engine {
namespace {

using nlohmann::ordered_json;

// Both write the names of transformers 4.51 and before; 4.52 to 4.57 wrote the second ones.
constexpr PrefixChange kGemma3Names[] = {{"language_model.model.", "model."},
                                         {"language_model.lm_head.", "lm_head."},
                                         {"model.language_model.", "model."}};
constexpr std::string_view kGemma3Towers[] = {"vision_tower.", "multi_modal_projector.",
                                              "model.vision_tower.",
                                              "model.multi_modal_projector."};
constexpr PrefixChange kQwenVlNames[] = {{"model.language_model.", "model."}};
constexpr PrefixChange kGemma4Names[] = {{"model.language_model.", "model."}};
constexpr std::string_view kGemma4Towers[] = {"model.vision_tower.", "model.audio_tower.",
                                              "model.embed_vision.", "model.embed_audio."};
constexpr std::string_view kQwenVlTowers[] = {"visual.", "model.visual."};

// transformers 5.17, Gemma3TextConfig, Qwen2VLTextConfig, Qwen2_5_VLTextConfig and
// Qwen3VLTextConfig. google/gemma-3-4b-it names but six settings of its text side.
constexpr std::string_view kGemma3Defaults = R"({
  "vocab_size": 262208, "hidden_size": 2304, "intermediate_size": 9216, "num_hidden_layers": 26,
  "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256,
  "max_position_embeddings": 131072, "sliding_window": 4096, "query_pre_attn_scalar": 256,
  "pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 1, "tie_word_embeddings": true})";
constexpr std::string_view kQwenVlDefaults = R"({
  "num_key_value_heads": 8, "max_position_embeddings": 32768, "rms_norm_eps": 1e-5,
  "rope_theta": 1000000.0, "max_window_layers": 80})";
constexpr std::string_view kQwen3VlDefaults = R"({
  "num_key_value_heads": 32, "head_dim": 128, "max_position_embeddings": 128000,
  "rope_theta": 500000.0})";

constexpr std::string_view kGemma4Defaults = R"({
  "num_key_value_heads": 4, "max_position_embeddings": 131072, "pad_token_id": 0,
  "bos_token_id": 2, "eos_token_id": 1, "tie_word_embeddings": true})";
// Published configs name every setting of the text side but these.
constexpr std::string_view kQwen35Defaults = R"({
  "num_key_value_heads": 4, "max_position_embeddings": 32768})";

constexpr Wrapper kWrappers[] = {{.model_type = "gemma3",
                                  .sequence_classifier = "Gemma3ForSequenceClassification",
                                  .generator = "Gemma3ForConditionalGeneration",
                                  .text = &kGemma3,
                                  .text_defaults = kGemma3Defaults,
                                  .renamed = kGemma3Names,
                                  .other_tensors = kGemma3Towers},
                                 {.model_type = "qwen2_vl",
                                  .sequence_classifier = "Qwen2VLForSequenceClassification",
                                  .generator = "Qwen2VLForConditionalGeneration",
                                  .text = &kQwen2,
                                  .text_defaults = kQwenVlDefaults,
                                  .renamed = kQwenVlNames,
                                  .other_tensors = kQwenVlTowers},
                                 {.model_type = "qwen2_5_vl",
                                  .sequence_classifier = "Qwen2_5_VLForSequenceClassification",
                                  .generator = "Qwen2_5_VLForConditionalGeneration",
                                  .text = &kQwen2,
                                  .text_defaults = kQwenVlDefaults,
                                  .renamed = kQwenVlNames,
                                  .other_tensors = kQwenVlTowers},
                                 {.model_type = "qwen3_vl",
                                  .sequence_classifier = "Qwen3VLForSequenceClassification",
                                  .generator = "Qwen3VLForConditionalGeneration",
                                  .text = &kQwen3,
                                  .text_defaults = kQwen3VlDefaults,
                                  .renamed = kQwenVlNames,
                                  .other_tensors = kQwenVlTowers},
                                 {.model_type = "qwen3_5",
                                  .sequence_classifier = "Qwen3_5ForSequenceClassification",
                                  .generator = "Qwen3_5ForConditionalGeneration",
                                  .text = &kQwen35,
                                  .text_defaults = kQwen35Defaults,
                                  .renamed = kQwenVlNames,
                                  .other_tensors = kQwenVlTowers},
                                 {.model_type = "gemma4",
                                  .sequence_classifier = "Gemma4ForSequenceClassification",
                                  .generator = "Gemma4ForConditionalGeneration",
                                  .text = &kGemma4,
                                  .text_defaults = kGemma4Defaults,
                                  .renamed = kGemma4Names,
                                  .other_tensors = kGemma4Towers}};

// Settings of the wrapper itself.
constexpr std::string_view kWrapperSettings[] = {
    "text_config",         "vision_config",       "model_type",      "image_token_id",
    "image_token_index",   "boi_token_index",     "eoi_token_index", "video_token_id",
    "vision_token_id",     "boi_token_id",        "eoi_token_id",    "vision_start_token_id",
    "vision_end_token_id", "mm_tokens_per_image", "audio_config",    "audio_token_id",
    "boa_token_id",        "eoa_token_index"};

bool is_wrapper_setting(std::string_view key) {
  return std::find(std::begin(kWrapperSettings), std::end(kWrapperSettings), key) !=
         std::end(kWrapperSettings);
}

// Settings of the head, which stands outside of the text side; a text_config may have its class's
// defaults.
constexpr std::string_view kHeadSettings[] = {"architectures", "id2label", "label2id",
                                              "num_labels"};

bool is_head_setting(std::string_view key) {
  return std::find(std::begin(kHeadSettings), std::end(kHeadSettings), key) !=
         std::end(kHeadSettings);
}

/// Multimodal RoPE has one position for each of time, height and width, which are the same for a
/// text token, so that it is RoPE.
void drop_multimodal_rope(ordered_json& config) {
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    const auto found = config.find(key);
    if (found == config.end() || !found->is_object()) continue;
    found->erase("mrope_section");
    found->erase("mrope_interleaved");
    for (const char* type : {"type", "rope_type"}) {
      if (found->contains(type) && (*found)[type] == "mrope") (*found)[type] = "default";
    }
  }
}

}  // namespace

const Wrapper* find_wrapper(std::string_view model_type) {
  for (const Wrapper& wrapper : kWrappers) {
    if (model_type == wrapper.model_type) return &wrapper;
  }
  return nullptr;
}

std::vector<std::string_view> wrapper_architectures() {
  std::vector<std::string_view> names;
  for (const Wrapper& wrapper : kWrappers) {
    names.push_back(wrapper.sequence_classifier);
    names.push_back(wrapper.generator);
  }
  return names;
}

ordered_json unwrapped_config(const Wrapper& wrapper, const ordered_json& config,
                              const std::string& file) {
  const bool nested = config.contains("text_config") && !config["text_config"].is_null();
  if (nested && !config["text_config"].is_object()) {
    throw Error(ErrorKind::kInput, "{}: text_config is a JSON {}, expected an object", file,
                config["text_config"].type_name());
  }
  ordered_json text = ordered_json::parse(wrapper.text_defaults);
  if (nested) text.update(config["text_config"]);
  for (const std::string_view key : kHeadSettings) text.erase(std::string(key));
  for (const auto& [key, value] : config.items()) {
    // The text side's own settings win, and it pads by its own token alone.
    const bool own = nested && (key == "pad_token_id" || config["text_config"].contains(key));
    if (!is_wrapper_setting(key) && (!own || is_head_setting(key))) text[key] = value;
  }
  drop_multimodal_rope(text);
  text["model_type"] = wrapper.text->model_type;
  if (text.contains("architectures") && text["architectures"].is_array()) {
    for (ordered_json& architecture : text["architectures"]) {
      if (architecture == wrapper.sequence_classifier)
        architecture = wrapper.text->sequence_classifier;
      if (architecture == wrapper.generator) architecture = wrapper.text->causal_lm;
    }
  }
  return text;
}

std::optional<std::string> unwrapped_name(const Wrapper& wrapper, std::string_view name) {
  const auto begins = [&](std::string_view prefix) { return name.starts_with(prefix); };
  if (std::any_of(wrapper.other_tensors.begin(), wrapper.other_tensors.end(), begins))
    return std::nullopt;
  for (const PrefixChange& change : wrapper.renamed) {
    if (begins(change.from))
      return std::string(change.to) + std::string(name.substr(change.from.size()));
  }
  return std::string(name);
}

}  // namespace charm::engine
