#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace charm::generate {

enum class Endpoint {
  kChat,         ///< /v1/chat/completions: the server applies its model's template
  kCompletions,  ///< /v1/completions: the template is rendered here; for servers whose template is
                 ///< not the right one
};

/// One pool of OpenAI-compatible inference servers that all serve the same model.
struct ServerOptions {
  std::vector<std::string> urls;  ///< http://HOST:PORT, with or without /v1; requests go to the one
                                  ///< with the least in flight
  std::string model;              ///< the name under which the servers know the model
  std::vector<std::string> accepted_models;  ///< other names that answers may carry
  Endpoint endpoint = Endpoint::kChat;
  std::string api_key;  ///< from the environment; sent as a bearer token, never written anywhere
  std::string api_key_env;  ///< the variable it came from, for messages; empty: none
  std::int64_t concurrency =
      64;  ///< requests in flight per server; a server that answers 429 gets fewer for a while
  double timeout_s = 600.0;  ///< of one request; must allow for the longest response
  int retries = 5;           ///< of one request, after which its row carries an error
  double wait_s = 0.0;       ///< at the start, how long to wait for a server that is not there yet
  double patience_s = 60.0;  ///< how long no server may be there before the command ends
  std::chrono::milliseconds first_delay{1000};  ///< before the first retry; doubles
  std::chrono::milliseconds max_delay{60'000};  ///< up to this
  std::optional<std::filesystem::path>
      tokenizer_dir;  ///< kCompletions: folder whose template and special tokens are used
  std::optional<std::filesystem::path> template_file;  ///< kCompletions: template instead
  std::string template_date = "2024-07-26";            ///< of the clock a template sees
  /// Sent only where set: servers have their own defaults, and not all know these fields.
  std::optional<std::int64_t> top_k;
  std::optional<double> min_p;
  std::optional<double> repetition_penalty;
  std::string extra_body;  ///< JSON object whose members are added to every request; empty: none
};

}  // namespace charm::generate
