#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "charm/generate/generation.h"

namespace charm::generate {

enum class Endpoint {
  kChat,         ///< /v1/chat/completions: the server applies its chat template
  kCompletions,  ///< /v1/completions: charm renders the template; for servers without the right one
};

/// A pool of OpenAI-compatible inference servers with the same model.
struct ServerOptions {
  std::vector<std::string> urls;  ///< http://HOST:PORT, with or without /v1; requests go to the
                                  ///< server with the fewest in flight
  std::string model;              ///< model name on the servers
  std::vector<std::string> accepted_models;  ///< other model names accepted in responses
  Endpoint endpoint = Endpoint::kChat;
  std::string api_key;            ///< from the environment; sent as a bearer token, never stored
  std::string api_key_env;        ///< its environment variable, for messages; empty: none
  std::int64_t concurrency = 64;  ///< requests in flight per server; reduced after a 429
  double timeout_s = 600.0;       ///< per request; must cover the longest response
  int retries = 5;                ///< per request, then its row gets an error
  double wait_s = 0.0;            ///< how long to wait for the first server at start
  double patience_s = 60.0;       ///< how long all servers may be unreachable before an error
  std::chrono::milliseconds first_delay{1000};  ///< exponential backoff of retries
  std::chrono::milliseconds max_delay{60'000};  ///< upper bound of the backoff
  std::optional<std::filesystem::path>
      tokenizer_dir;  ///< kCompletions: folder with template and special tokens
  std::optional<std::filesystem::path> template_file;  ///< kCompletions: template instead
  std::string template_date = "2024-07-26";            ///< date of strftime_now in templates
  std::string template_kwargs;  ///< JSON object of further variables for the template, sent as
                                ///< chat_template_kwargs with kChat
  /// Sent only if set: servers have their own defaults, and some reject these fields.
  std::optional<std::int64_t> top_k;
  std::optional<double> min_p;
  std::optional<double> repetition_penalty;
  std::string extra_body;  ///< JSON object merged into every request body; empty: none
};

/// Probes every server for reachability and model; unreachable ones are probed again later, as long
/// as one is up. `generate` keeps `concurrency` requests in flight per server in the calling
/// thread; the requests of a failing server are retried on the others until it is up again.
/// Requests have a seed derived from (seed, prompt_id, sample); whether equal seeds give equal
/// texts depends on the server.
///
/// Throws kUsage for an invalid URL, another model or contradicting options, kNetwork if no server
/// is reachable (naming each and the error) or a server rejects the API key.
std::unique_ptr<Generator> make_server_generator(const ServerOptions& options);

}  // namespace charm::generate
