#include "charm/generate/resolved_options.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/base/version.h"
#include "charm/hub/url.h"
#include "charm/records/response.h"
#include "charm/storage/record_writer.h"

namespace charm::generate {

using nlohmann::ordered_json;

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
