#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "charm/generate/generation.h"
#include "charm/generate/server_options.h"
#include "charm/hub/http_client.h"

// What is said to an OpenAI-compatible server and how its answers are understood. Field names:
// OpenAI's API reference; beyond it those of vLLM 0.6, SGLang 0.3, TGI 3 and llama-cpp-python 0.3.
namespace charm::generate {

/// Programs whose field names differ.
enum class ServerKind { kOther, kLlamaCpp };

/// OpenAI's newer models refuse max_tokens and ask for max_completion_tokens, which other servers
/// do not know.
bool wants_completion_tokens(const hub::HttpResponse& response);

/// The address of the API without a closing slash: "http://a:8000" and ".../v1/chat/completions" ->
/// "http://a:8000/v1"; a path that is given stays. Throws kUsage.
std::string api_base(const std::string& url);

/// The server's root, where /health lives: "http://a:8000/v1" -> "http://a:8000".
std::string server_root(const std::string& api_base);

/// A whole number in [0, 2^31), a function of these three alone.
std::int64_t request_seed(std::uint64_t seed, const std::string& prompt_id, std::int32_t sample);

/// Members that all requests share. Throws kUsage where `extra_body` is no JSON object.
nlohmann::ordered_json common_members(const ServerOptions& options, const SamplingOptions& sampling,
                                      ServerKind kind);

/// What an answer means for its request.
struct ServerAnswer {
  enum class Kind {
    kDone,      ///< `result` holds the response
    kRefused,   ///< this request cannot be answered (too long, rejected by the template): `why`
    kTryAgain,  ///< no whole or no sensible answer
    kSlower,    ///< 429: too many requests
    kFatal,     ///< nothing can be answered: wrong key, wrong model, wrong address
  };
  Kind kind = Kind::kTryAgain;
  GenerationResult result;
  std::string why;
};

/// `index` of the result is not set.
ServerAnswer read_answer(const hub::HttpResponse& response, const ServerOptions& options);

/// Whether an answer or a model list that says `found` is of the model asked for: equal, one of
/// `accepted_models`, the same without folder or owner, or a dated version of it ("gpt-4o" answers
/// as "gpt-4o-2024-08-06").
bool is_same_model(const ServerOptions& options, std::string_view found);

/// The answer of /v1/models.
struct ModelList {
  std::vector<std::string> names;
  ServerKind kind = ServerKind::kOther;
};

/// Empty names where the body is no such list.
ModelList read_model_list(const std::string& body);

}  // namespace charm::generate
