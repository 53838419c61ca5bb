#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "charm/generate/generation.h"
#include "charm/generate/server_generator.h"
#include "charm/hub/http_client.h"
#include "charm/text/chat_template.h"

// Requests to and responses of OpenAI-compatible servers. Field names follow OpenAI's API reference
// and the extensions of vLLM 0.6, SGLang 0.3, TGI 3 and llama-cpp-python 0.3.
namespace charm::generate {

/// Servers whose field names differ.
enum class ServerKind { kOther, kLlamaCpp };

/// Whether the server rejects max_tokens in favour of max_completion_tokens, as OpenAI's newer
/// models do; other servers do not support the latter.
bool requires_max_completion_tokens(const hub::HttpResponse& response);

/// Base URL of the API without a trailing slash: "http://a:8000" and ".../v1/chat/completions" ->
/// "http://a:8000/v1"; other paths are kept. Throws kUsage.
std::string api_base(const std::string& url);

/// Root URL of the server, for /health: "http://a:8000/v1" -> "http://a:8000".
std::string server_root(const std::string& api_base);

/// Request seed in [0, 2^31), a hash of the arguments.
std::int64_t request_seed(std::uint64_t seed, const std::string& prompt_id, std::int32_t sample);

/// The request fields common to all prompts. Throws kUsage unless `extra_body` is a JSON object.
nlohmann::ordered_json common_fields(const ServerOptions& options, const SamplingOptions& sampling,
                                     ServerKind kind);

/// Outcome of a request.
struct CompletionResult {
  enum class Kind {
    kOk,         ///< `result` has the response
    kRejected,   ///< this request cannot succeed (too long, rejected by the template): `why`
    kRetry,      ///< transport error, server error or invalid response
    kThrottled,  ///< 429: too many requests
    kFatal,      ///< no request can succeed: wrong API key, model or URL
  };
  Kind kind = Kind::kRetry;
  GenerationResult result;
  std::string why;
};

/// Parses a response of either endpoint; `index` of the result is not set.
CompletionResult parse_completion(const hub::HttpResponse& response, const ServerOptions& options);

/// Whether the model name `found` in a response or model list is the requested one: equal, one of
/// `accepted_models`, the same without folder or owner, or a dated version ("gpt-4o" is reported as
/// "gpt-4o-2024-08-06").
bool is_same_model(const ServerOptions& options, std::string_view found);

/// The response of /v1/models.
struct ModelList {
  std::vector<std::string> names;
  ServerKind kind = ServerKind::kOther;
};

/// No names if the body is not a model list.
ModelList parse_model_list(const std::string& body);

/// Renders prompts to text for /v1/completions. If the server's tokenizer adds BOS, the template's
/// BOS is stripped, so that the model sees it once. Thread-safe.
class PromptRenderer {
 public:
  /// Loads `options.tokenizer_dir` or `options.template_file`; throws kUsage if both are missing.
  explicit PromptRenderer(const ServerOptions& options);

  /// Throws kInput if the template rejects the conversation.
  std::string render(const Conversation& prompt) const;

  std::string template_sha256() const { return template_.sha256(); }

 private:
  text::ChatTemplate template_;
  std::string stripped_bos_;  ///< BOS, if the tokenizer adds it
};

}  // namespace charm::generate
