#include "charm/generate/server_protocol.h"

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>

#include "charm/base/error.h"
#include "charm/base/hashing.h"
#include "charm/base/strings.h"
#include "charm/hub/retry.h"
#include "charm/hub/url.h"

namespace charm::generate {
namespace {

using nlohmann::json;
using Kind = ServerAnswer::Kind;

/// "org/Name", "/models/Name.gguf" -> "name".
std::string bare_name(std::string_view name) {
  while (name.ends_with('/')) name.remove_suffix(1);
  const std::size_t slash = name.find_last_of("/\\");
  std::string bare = lower_ascii(slash == std::string_view::npos ? name : name.substr(slash + 1));
  if (bare.ends_with(".gguf")) bare.resize(bare.size() - 5);
  return bare;
}

/// The longer name goes on with a date or a revision: "-2024-08-06", "-0613", "@main", ":latest".
bool is_version_of(const std::string& name, const std::string& longer) {
  if (!longer.starts_with(name) || longer.size() < name.size() + 2) return false;
  const char mark = longer[name.size()];
  if (mark == '@' || mark == ':') return true;
  return mark == '-' &&
         std::all_of(longer.begin() + static_cast<std::ptrdiff_t>(name.size()), longer.end(),
                     [](unsigned char c) { return c == '-' || std::isdigit(c) != 0; });
}

ServerAnswer answer_of(Kind kind, std::string why) {
  return {.kind = kind, .result = {}, .why = std::move(why)};
}

/// "stop" and "length" for what the servers call it; their own word otherwise.
std::string finish_reason_of(const json& choice) {
  const auto found = choice.find("finish_reason");
  if (found == choice.end() || !found->is_string()) return "";
  const std::string reason = found->get<std::string>();
  if (reason == "eos_token" || reason == "stop_sequence" || reason == "eos" || reason == "end_turn")
    return "stop";
  if (reason == "max_tokens" || reason == "max_new_tokens") return "length";
  return reason;
}

std::int32_t count_of(const json& usage, const char* name) {
  const auto found = usage.find(name);
  return found != usage.end() && found->is_number_unsigned()
             ? static_cast<std::int32_t>(found->get<std::uint64_t>())
             : 0;
}

std::optional<std::string> text_of(const json& choice) {
  if (const auto message = choice.find("message");
      message != choice.end() && message->is_object()) {
    const auto content = message->find("content");
    if (content != message->end() && content->is_string()) return content->get<std::string>();
    return std::nullopt;
  }
  const auto text = choice.find("text");
  if (text != choice.end() && text->is_string()) return text->get<std::string>();
  return std::nullopt;
}

/// An error status, or an error object under status 200.
ServerAnswer read_error(const hub::HttpResponse& response, int status,
                        const ServerOptions& options) {
  const std::string words = hub::describe(response);
  switch (status) {
    case 401:
    case 403: {
      const std::string key =
          options.api_key_env.empty()
              ? "no API key was given; name the variable that holds it with --api-key-env"
              : "it refuses the API key in " + options.api_key_env;
      return answer_of(Kind::kFatal, fmt::format("{} ({})", words, key));
    }
    case 402:
      return answer_of(Kind::kFatal, words);
    case 404:
      return answer_of(Kind::kFatal,
                       fmt::format("{} (is '{}' the model's name there (--server-model), and does "
                                   "it offer this endpoint (--endpoint)?)",
                                   words, options.model));
    case 405:
      return answer_of(Kind::kFatal,
                       fmt::format("{} (does it offer this endpoint (--endpoint)?)", words));
    case 429:
      // OpenAI's word for an account without money: waiting does not help.
      if (response.body.find("insufficient_quota") != std::string::npos)
        return answer_of(Kind::kFatal, words);
      return answer_of(Kind::kSlower, words);
    default:
      break;
  }
  if (status >= 300 && status < 400)
    return answer_of(Kind::kFatal, words + " (a redirect: give the address it leads to)");
  if (status >= 400 && status < 500 && status != 408 && status != 425)
    return answer_of(Kind::kRefused, words);
  return answer_of(Kind::kTryAgain, words);
}

ServerAnswer read_choice(const json& body, const ServerOptions& options) {
  const auto choices = body.find("choices");
  if (choices == body.end() || !choices->is_array() || choices->empty() ||
      !choices->front().is_object()) {
    return answer_of(Kind::kTryAgain, "the answer has no choices");
  }
  if (const auto model = body.find("model"); model != body.end() && model->is_string()) {
    const auto& name = model->get_ref<const std::string&>();
    if (!name.empty() && !is_same_model(options, name)) {
      return answer_of(
          Kind::kFatal,
          fmt::format(
              "answers as model '{}', expected '{}' (if they are the same: --accept-model '{}')",
              name, options.model, name));
    }
  }
  const json& choice = choices->front();
  std::optional<std::string> text = text_of(choice);
  if (!text)
    return answer_of(Kind::kRefused, "the answer holds no text (a tool call, or thoughts alone)");
  ServerAnswer answer{.kind = Kind::kDone, .result = {}, .why = {}};
  answer.result.response = std::move(*text);
  answer.result.finish_reason = finish_reason_of(choice);
  if (const auto usage = body.find("usage"); usage != body.end() && usage->is_object()) {
    answer.result.num_tokens = count_of(*usage, "completion_tokens");
    answer.result.num_prompt_tokens = count_of(*usage, "prompt_tokens");
  }
  return answer;
}

}  // namespace

std::string api_base(const std::string& url) {
  const hub::Url parts = hub::parse_url(url);
  std::string base = url.substr(0, url.find_first_of("?#"));
  const auto drop = [&](std::string_view end) {
    if (base.ends_with(end)) base.resize(base.size() - end.size());
  };
  while (base.ends_with('/')) base.pop_back();
  drop("/chat/completions");
  drop("/completions");
  const std::size_t host = base.find("://") + 3;
  if (base.find('/', host) == std::string::npos) base += "/v1";
  return base;
}

std::string server_root(const std::string& base) {
  return base.ends_with("/v1") ? base.substr(0, base.size() - 3) : base;
}

bool wants_completion_tokens(const hub::HttpResponse& response) {
  return response.status == 400 && response.body.find("max_completion_tokens") != std::string::npos;
}

std::int64_t request_seed(std::uint64_t seed, const std::string& prompt_id, std::int32_t sample) {
  const std::string digest = sha256_hex(fmt::format("{} {} {}", seed, sample, prompt_id));
  return std::stoll(digest.substr(0, 8), nullptr, 16) & 0x7fffffff;
}

nlohmann::ordered_json common_members(const ServerOptions& options, const SamplingOptions& sampling,
                                      ServerKind kind) {
  nlohmann::ordered_json members = {{"model", options.model},
                                    {"max_tokens", sampling.max_new_tokens},
                                    {"temperature", sampling.temperature},
                                    {"top_p", sampling.top_p},
                                    {"stream", false}};
  const bool llama_cpp = kind == ServerKind::kLlamaCpp;
  // "All tokens" is -1 to vLLM and SGLang, 0 to llama.cpp, whose server takes no negative number.
  if (options.top_k) members["top_k"] = *options.top_k > 0 ? *options.top_k : (llama_cpp ? 0 : -1);
  if (options.min_p) members["min_p"] = *options.min_p;
  if (options.repetition_penalty)
    members[llama_cpp ? "repeat_penalty" : "repetition_penalty"] = *options.repetition_penalty;
  if (!sampling.stop.empty()) members["stop"] = sampling.stop;
  if (!sampling.stop_token_ids.empty()) members["stop_token_ids"] = sampling.stop_token_ids;
  if (!options.extra_body.empty()) {
    const auto extra =
        nlohmann::ordered_json::parse(options.extra_body, nullptr, /*allow_exceptions=*/false);
    if (!extra.is_object())
      throw Error(ErrorKind::kUsage, "--extra-body: expected a JSON object, found '{}'",
                  options.extra_body);
    for (const auto& [name, value] : extra.items()) members[name] = value;
  }
  return members;
}

ServerAnswer read_answer(const hub::HttpResponse& response, const ServerOptions& options) {
  if (!response.error.empty()) return answer_of(Kind::kTryAgain, hub::describe(response));
  if (response.status < 200 || response.status >= 300)
    return read_error(response, response.status, options);
  const json body = json::parse(response.body, nullptr, /*allow_exceptions=*/false);
  if (!body.is_object()) {
    const std::size_t start = response.body.find_first_not_of(" \t\r\n");
    const bool html = start != std::string::npos && response.body[start] == '<';
    return answer_of(Kind::kTryAgain, html ? "answers with an HTML page where JSON was expected"
                                           : "the answer is no whole JSON object");
  }
  if (const auto error = body.find("error");
      error != body.end() && !error->is_null() && !body.contains("choices")) {
    const auto code = error->is_object() ? error->find("code") : error->end();
    const int status = error->is_object() && code != error->end() && code->is_number_integer()
                           ? code->get<int>()
                           : 500;
    return read_error(response, status, options);
  }
  return read_choice(body, options);
}

bool is_same_model(const ServerOptions& options, std::string_view found) {
  const auto matches = [&](const std::string& wanted) {
    const std::string a = bare_name(wanted), b = bare_name(found);
    return wanted == found || a == b || is_version_of(a, b);
  };
  return matches(options.model) ||
         std::any_of(options.accepted_models.begin(), options.accepted_models.end(), matches);
}

ModelList read_model_list(const std::string& text) {
  const json body = json::parse(text, nullptr, /*allow_exceptions=*/false);
  ModelList list;
  if (!body.is_object() || !body.contains("data") || !body["data"].is_array()) return list;
  for (const json& entry : body["data"]) {
    if (!entry.is_object() || !entry.contains("id") || !entry["id"].is_string()) continue;
    list.names.push_back(entry["id"].get<std::string>());
    const auto owner = entry.find("owned_by");
    // "me" is llama-cpp-python's owner of every model.
    if (owner != entry.end() && (*owner == "llamacpp" || *owner == "me"))
      list.kind = ServerKind::kLlamaCpp;
  }
  return list;
}

}  // namespace charm::generate
