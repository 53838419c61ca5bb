#include "charm/generate/resolved_options.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/base/log.h"
#include "charm/base/version.h"
#include "charm/engine/config_reader.h"
#include "charm/hub/url.h"
#include "charm/records/response.h"
#include "charm/storage/record_writer.h"
#include "charm/text/special_tokens.h"

namespace charm::generate {

using nlohmann::ordered_json;

namespace {

// Settings of transformers 5.17's GenerationConfig that change what generate writes.
constexpr const char* kNotApplied[] = {
    "no_repeat_ngram_size",
    "typical_p",
    "epsilon_cutoff",
    "eta_cutoff",
    "top_h",
    "min_length",
    "min_new_tokens",
    "bad_words_ids",
    "sequence_bias",
    "suppress_tokens",
    "begin_suppress_tokens",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "exponential_decay_length_penalty",
    "num_beams",
    "penalty_alpha",
    "guidance_scale",
    "stop_strings",
    "watermarking_config",
    "encoder_repetition_penalty",
};

/// Neither absent nor a value with which the setting does nothing.
bool is_set(const nlohmann::json& config, const char* key) {
  const auto found = config.find(key);
  if (found == config.end()) return false;
  const nlohmann::json& value = *found;
  const bool empty = (value.is_structured() && value.empty()) || value == "";
  return !value.is_null() && !empty && value != false && value != 0 && value != 1;
}

}  // namespace

GenerateStageOptions with_model_defaults(GenerateStageOptions options, const fs::path& model_dir) {
  constexpr const char* kFile = "generation_config.json";
  const nlohmann::json config = text::read_config(model_dir, kFile);
  const engine::ConfigReader reader(config, (model_dir / kFile).string());
  constexpr std::int64_t kMostTokens = std::numeric_limits<std::int32_t>::max();
  if (!options.top_k && reader.present("top_k"))
    options.top_k = reader.integer("top_k", 0, kMostTokens);
  if (!options.min_p && reader.present("min_p")) {
    options.min_p = reader.number("min_p");
    if (!(*options.min_p >= 0.0 && *options.min_p <= 1.0))
      reader.fail("min_p", "", "a number between 0 and 1");
  }
  if (!options.repetition_penalty && reader.present("repetition_penalty"))
    options.repetition_penalty = reader.positive("repetition_penalty");
  for (const char* key : kNotApplied) {
    if (!is_set(config, key)) continue;
    log::warning("{}: {} is {}, which transformers applies and charm does not", reader.file(), key,
                 config[key].dump());
  }
  return options;
}

void check_options(const GenerateStageOptions& options) {
  if (options.policy.empty()) throw Error(ErrorKind::kUsage, "--policy: expected a name");
  if (std::ranges::count(options.sampling.stop, "") > 0)
    throw Error(ErrorKind::kUsage, "--stop: expected a non-empty string");
  storage::require_known_extension(options.output);
  require_writable(options.output);
  require_distinct(options.output, options.prompts);
}

void check_source(const GenerateStageOptions& options) {
  const ServerOptions& server = options.server;
  if (server.urls.empty() == !options.model_dir.has_value()) {
    throw Error(ErrorKind::kUsage, "give either --model DIR or --server URL");
  }
  if (server.urls.empty()) return;
  if (server.model.empty())
    throw Error(ErrorKind::kUsage, "--server needs --server-model, the model name on the server");
}

ServerOptions resolved_server_options(const GenerateStageOptions& options) {
  ServerOptions server = options.server;
  server.top_k = options.top_k;
  server.min_p = options.min_p;
  server.repetition_penalty = options.repetition_penalty;
  if (server.api_key_env.empty()) return server;
  const char* key = std::getenv(server.api_key_env.c_str());
  if (key == nullptr || *key == '\0') {
    throw Error(ErrorKind::kUsage, "--api-key-env: the environment variable '{}' is not set",
                server.api_key_env);
  }
  server.api_key = key;
  return server;
}

SamplingOptions resolved_sampling(const GenerateStageOptions& options) {
  SamplingOptions sampling = options.sampling;
  sampling.top_k = options.top_k.value_or(0);
  sampling.min_p = options.min_p.value_or(0.0);
  sampling.repetition_penalty = options.repetition_penalty.value_or(1.0);
  return sampling;
}

SamplingSettings settings_of(const GenerateStageOptions& options) {
  const auto as_int = [](std::int64_t value) {
    return static_cast<std::int32_t>(std::min<std::int64_t>(value, INT32_MAX));
  };
  SamplingSettings settings{.temperature = options.sampling.temperature,
                            .top_p = options.sampling.top_p,
                            .top_k = {},
                            .min_p = options.min_p,
                            .repetition_penalty = options.repetition_penalty,
                            .max_new_tokens = as_int(options.sampling.max_new_tokens)};
  if (options.top_k) settings.top_k = as_int(*options.top_k);
  if (options.server.urls.empty()) {
    settings.top_k = as_int(options.top_k.value_or(0));
    settings.min_p = options.min_p.value_or(0.0);
    settings.repetition_penalty = options.repetition_penalty.value_or(1.0);
  }
  return settings;
}

void record_options(const GenerateStageOptions& options, const storage::Provenance& facts,
                    storage::Manifest& manifest) {
  const std::string* adapter = storage::find_fact(facts, "adapter");
  manifest.options(options, describe_command)
      .option("adapter", adapter != nullptr ? ordered_json(*adapter) : ordered_json())
      .option("generator", ordered_json::parse(storage::provenance_json(facts)));
}

storage::Provenance server_facts(const ServerOptions& server) {
  storage::Provenance facts = {
      {"program", "charm"},
      {"version", std::string(kVersion)},
      {"server_model", server.model},
      {"endpoint", server.endpoint == Endpoint::kChat ? "chat" : "completions"}};
  if (!server.extra_body.empty()) facts.emplace_back("extra_body", server.extra_body);
  return facts;
}

void record_server(const ServerOptions& server, storage::Manifest& manifest) {
  std::vector<std::string> redacted;
  for (const std::string& url : server.urls) redacted.push_back(hub::redacted_url(url));
  manifest.extra("servers", redacted);
  if (server.endpoint != Endpoint::kCompletions) return;
  if (server.tokenizer_dir && fs::exists(*server.tokenizer_dir / "tokenizer_config.json")) {
    manifest.input(*server.tokenizer_dir / "tokenizer_config.json");
  }
  if (server.template_file) manifest.input(*server.template_file);
}

}  // namespace charm::generate
