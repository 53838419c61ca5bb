#include "charm/pipeline/inspect.h"

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>
#include <numeric>

#include "charm/base/error.h"
#include "charm/batch/pooled_row.h"
#include "charm/model/decoder_weights.h"
#include "charm/model/heads.h"
#include "charm/model/weight_names.h"

namespace charm::pipeline {
namespace {

// Scoring keeps the weights once and a bounded workspace beside them (DESIGN: at most 1 GiB).
constexpr std::int64_t kWorkspaceBytes = std::int64_t{1} << 30;
constexpr double kGiB = 1024.0 * 1024.0 * 1024.0;

const Conversation kSamplePrompt = {{"user", "What is the capital of France?"}};
constexpr const char* kSampleResponse = "Paris.";

std::int64_t safetensors_bytes(const fs::path& folder) {
  std::int64_t bytes = 0;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == ".safetensors") bytes += static_cast<std::int64_t>(entry.file_size());
  }
  return bytes;
}

std::string head_text(model::HeadKind head) {
  return head == model::HeadKind::kNone ? "none (a causal language model: charm train --new-head)"
                                        : std::string(model::head_of(head).title);
}

std::string gib(std::int64_t bytes) { return fmt::format("{:.2f} GiB", static_cast<double>(bytes) / kGiB); }

/// What is unusual about padding and ends; each costs people days elsewhere.
void add_token_warnings(Inspection& inspection, const text::ConversationEncoder& encoder, const batch::PooledRow& pooled,
                        std::size_t num_tokens) {
  const model::DecoderConfig& config = inspection.config;
  const bool pools_last = config.head != model::HeadKind::kNone && model::head_of(config.head).pools_last_token;
  if (config.pad_token_id < 0 && !pools_last) {
    inspection.warnings.push_back("config.json names no pad_token_id: transformers scores such a model one row at a time; the last "
                                  "token is pooled here");
  }
  const bool pad_is_eos = std::find(config.eos_token_ids.begin(), config.eos_token_ids.end(), config.pad_token_id) !=
                          config.eos_token_ids.end();
  if (pad_is_eos) {
    inspection.warnings.push_back(fmt::format("pad_token_id {} is also an end-of-sequence token: where a conversation ends with it, an "
                                              "earlier token is pooled, as in transformers",
                                              config.pad_token_id));
  }
  if (pooled.ids.size() < num_tokens) {
    inspection.warnings.push_back(fmt::format("the sample's last {} token(s) equal pad_token_id {} and are not pooled; --pooling last "
                                              "takes the last token whatever it is",
                                              num_tokens - pooled.ids.size(), config.pad_token_id));
  }
  if (static_cast<std::int64_t>(encoder.tokenizer().vocab_size()) > config.vocab_size) {
    inspection.warnings.push_back(fmt::format("the tokenizer has {} entries but the model {} rows: some tokens cannot be scored",
                                              encoder.tokenizer().vocab_size(), config.vocab_size));
  }
  const auto bos = std::count_if(inspection.sample.begin(), inspection.sample.end(), [](const SampleToken& t) { return t.is_bos; });
  if (config.bos_token_id && bos == 0) inspection.warnings.push_back("the sample has no beginning-of-sequence token");
  if (bos > 1) inspection.warnings.push_back(fmt::format("the sample has {} beginning-of-sequence tokens", bos));
}

}  // namespace

std::int64_t count_parameters(const model::DecoderConfig& config) {
  model::DecoderWeights none;
  std::int64_t count = 0;
  for (const model::WeightSlot& slot : model::weight_slots(none, config)) {
    count += std::accumulate(slot.shape.begin(), slot.shape.end(), std::int64_t{1}, std::multiplies<>());
  }
  return count;
}

Inspection inspect_model(const InspectOptions& options) {
  std::error_code error;
  if (!fs::is_directory(options.model_dir, error)) {
    throw Error(ErrorKind::kIo, "{}: not a folder; expected a Hugging Face model folder", options.model_dir.string());
  }
  Inspection inspection;
  inspection.config = model::load_model_config(options.model_dir);
  inspection.num_parameters = count_parameters(inspection.config);
  inspection.weights_bytes = safetensors_bytes(options.model_dir);
  inspection.memory_float32_bytes = inspection.num_parameters * 4 + kWorkspaceBytes;
  inspection.memory_bfloat16_bytes = inspection.num_parameters * 2 + kWorkspaceBytes;

  const text::ConversationEncoder encoder(options.model_dir, options.encoder);
  inspection.template_name = encoder.chat_template().name();
  inspection.template_source = encoder.chat_template().source();
  inspection.template_sha256 = encoder.chat_template().sha256();
  const text::EncodedConversation encoded = encoder.encode(kSamplePrompt, kSampleResponse);
  const std::int32_t pad = options.pooling == score::Pooling::kLast ? -1 : inspection.config.pad_token_id;
  const batch::PooledRow pooled = batch::make_pooled_row(encoded.ids, encoded.prompt_length, pad);
  for (std::size_t i = 0; i < encoded.ids.size(); ++i) {
    const std::int32_t id = encoded.ids[i];
    inspection.sample.push_back({.id = id,
                                 .text = encoder.tokenizer().decode(std::vector<std::int32_t>{id}, /*skip_special_tokens=*/false),
                                 .is_bos = inspection.config.bos_token_id == id,
                                 .is_pooled = i + 1 == pooled.ids.size()});
  }
  add_token_warnings(inspection, encoder, pooled, encoded.ids.size());
  if (inspection.config.head == model::HeadKind::kNone || options.config_only) return inspection;

  const std::unique_ptr<model::RewardModel> reward_model = model::load_reward_model(options.model_dir, options.model);
  inspection.provenance = reward_model->provenance();
  const Response row{.prompt_id = "sample", .prompt = kSamplePrompt, .response = kSampleResponse, .policy = "sample",
                     .sample = 0, .finish_reason = {}, .num_tokens = {}};
  const std::vector<ScoredResponse> scored =
      score::score_responses(*reward_model, encoder, std::span(&row, 1), {.pooling = options.pooling});
  if (scored.front().error) {
    inspection.warnings.push_back("the sample cannot be scored: " + *scored.front().error);
  } else {
    inspection.sample_score = scored.front().score;
  }
  return inspection;
}

std::string inspection_text(const Inspection& inspection) {
  const model::DecoderConfig& config = inspection.config;
  std::string text;
  const auto line = [&text](std::string_view name, const std::string& value) { text += fmt::format("{:<18} {}\n", name, value); };
  line("architecture", config.architecture);
  line("parameters", fmt::format("{} ({:.1f} M)", inspection.num_parameters, static_cast<double>(inspection.num_parameters) / 1e6));
  line("layers", fmt::format("{} of width {}, {} heads of {}, {} key/value heads, mlp {}", config.num_layers, config.hidden_size,
                             config.num_heads, config.head_dim, config.num_kv_heads, config.intermediate_size));
  line("vocabulary", fmt::format("{}{}", config.vocab_size, config.tie_word_embeddings ? ", tied" : ""));
  line("positions", std::to_string(config.max_positions));
  line("head", head_text(config.head));
  line("stored", fmt::format("{} of safetensors{}", gib(inspection.weights_bytes),
                             config.stored_dtype.empty() ? "" : ", " + config.stored_dtype));
  line("memory to score", fmt::format("about {} in float32, {} in bfloat16", gib(inspection.memory_float32_bytes),
                                      gib(inspection.memory_bfloat16_bytes)));
  for (const auto& [name, value] : inspection.provenance) line(name, value);
  line("chat template", fmt::format("{}, sha256 {}", inspection.template_name, inspection.template_sha256));
  text += inspection.template_source;
  if (text.back() != '\n') text += '\n';
  text += "\nsample (* marks beginning-of-sequence, > the pooled token):\n";
  for (const SampleToken& token : inspection.sample) {
    text += fmt::format("  {}{} {:>7}  {}\n", token.is_bos ? '*' : ' ', token.is_pooled ? '>' : ' ', token.id,
                        nlohmann::json(token.text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  }
  if (inspection.sample_score) line("sample score", fmt::format("{}", *inspection.sample_score));
  for (const std::string& warning : inspection.warnings) text += "warning: " + warning + "\n";
  return text;
}

nlohmann::ordered_json inspection_json(const Inspection& inspection) {
  const model::DecoderConfig& config = inspection.config;
  nlohmann::ordered_json json = {
      {"architecture", config.architecture},
      {"num_parameters", inspection.num_parameters},
      {"num_layers", config.num_layers},
      {"hidden_size", config.hidden_size},
      {"vocab_size", config.vocab_size},
      {"max_positions", config.max_positions},
      {"head", config.head == model::HeadKind::kNone ? "none" : model::head_of(config.head).name},
      {"weights_bytes", inspection.weights_bytes},
      {"memory_bytes", {{"float32", inspection.memory_float32_bytes}, {"bfloat16", inspection.memory_bfloat16_bytes}}},
      {"pad_token_id", config.pad_token_id},
      {"eos_token_ids", config.eos_token_ids},
      {"chat_template", {{"name", inspection.template_name}, {"sha256", inspection.template_sha256},
                         {"source", inspection.template_source}}}};
  json["bos_token_id"] = config.bos_token_id ? nlohmann::ordered_json(*config.bos_token_id) : nlohmann::ordered_json();
  for (const auto& [name, value] : inspection.provenance) json["used"][name] = value;
  for (const SampleToken& token : inspection.sample) {
    json["sample"].push_back({{"id", token.id}, {"text", token.text}, {"bos", token.is_bos}, {"pooled", token.is_pooled}});
  }
  json["sample_score"] = inspection.sample_score ? nlohmann::ordered_json(*inspection.sample_score) : nlohmann::ordered_json();
  json["warnings"] = inspection.warnings;
  return json;
}

}  // namespace charm::pipeline
