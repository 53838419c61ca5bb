#include "charm/generate/server_protocol.h"

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/base/hashing.h"
#include "charm/base/strings.h"
#include "charm/hub/retry.h"
#include "charm/hub/url.h"
#include "charm/text/tokenizer.h"

namespace charm::generate {
namespace {

using nlohmann::json;
using Kind = CompletionResult::Kind;

/// "org/Name", "/models/Name.gguf" -> "name".
std::string bare_name(std::string_view name) {
  while (name.ends_with('/')) name.remove_suffix(1);
  const std::size_t slash = name.find_last_of("/\\");
  std::string bare = lower_ascii(slash == std::string_view::npos ? name : name.substr(slash + 1));
  if (bare.ends_with(".gguf")) bare.resize(bare.size() - 5);
  return bare;
}

/// Whether the longer name has a date or revision suffix: "-2024-08-06", "-0613", "@main",
/// ":latest".
bool is_version_of(const std::string& name, const std::string& longer) {
  if (!longer.starts_with(name) || longer.size() < name.size() + 2) return false;
  const char mark = longer[name.size()];
  if (mark == '@' || mark == ':') return true;
  return mark == '-' &&
         std::all_of(longer.begin() + static_cast<std::ptrdiff_t>(name.size()), longer.end(),
                     [](unsigned char c) { return c == '-' || std::isdigit(c) != 0; });
}

CompletionResult outcome(Kind kind, std::string why) {
  return {.kind = kind, .result = {}, .why = std::move(why)};
}

/// Maps servers' finish reasons to "stop" and "length"; others are returned unchanged.
std::string finish_reason_of(const json& choice) {
  const auto found = choice.find("finish_reason");
  if (found == choice.end() || !found->is_string()) return "";
  std::string reason = found->get<std::string>();
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

/// Text shortened to one line for messages.
std::string shortened(std::string text) {
  constexpr std::size_t kMaxLength = 200;
  std::replace_if(text.begin(), text.end(), [](unsigned char c) { return c < 0x20; }, ' ');
  if (text.size() <= kMaxLength) return text;
  std::size_t end = kMaxLength;  // whole characters only
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end) + "...";
}

/// A field that is text and not blank.
std::optional<std::string> text_field(const json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_string()) return std::nullopt;
  const auto& text = found->get_ref<const std::string&>();
  if (text.find_first_not_of(" \t\r\n") == std::string::npos) return std::nullopt;
  return text;
}

/// The text of a response, or why it has none.
struct ResponseText {
  std::optional<std::string> text{};
  std::string why{};
};

/// Content is text, or a list of parts that are joined if all of them are text.
ResponseText join_parts(const json& parts) {
  std::string text;
  for (const json& part : parts) {
    if (part.is_string()) {
      text += part.get_ref<const std::string&>();
      continue;
    }
    const std::string type = part.is_object() ? part.value("type", json("")).dump() : part.dump();
    if (type == "\"refusal\"") {
      return {.why = fmt::format("the model refused: {}",
                                 shortened(text_field(part, "refusal").value_or("(no reason)")))};
    }
    if (type == "\"thinking\"" || type == "\"reasoning\"") continue;
    const auto found = part.is_object() ? part.find("text") : part.end();
    if ((type != "\"text\"" && type != "\"output_text\"") || found == part.end() ||
        !found->is_string()) {
      return {
          .why = fmt::format("the response has a part of type {}, expected text", shortened(type))};
    }
    text += found->get_ref<const std::string&>();
  }
  return {.text = std::move(text)};
}

bool has_reasoning_part(const json& content) {
  return content.is_array() && std::any_of(content.begin(), content.end(), [](const json& part) {
           return part.is_object() && (part.value("type", json()) == "thinking" ||
                                       part.value("type", json()) == "reasoning");
         });
}

/// Why a message without text has none. `reasoning_content` is vLLM's (before 0.12), SGLang's and
/// DeepSeek's field of reasoning, `reasoning` that of newer vLLM and OpenRouter; `refusal` is
/// OpenAI's.
std::string why_no_text(const json& message, const std::string& finish_reason) {
  if (const auto refusal = text_field(message, "refusal"))
    return "the model refused: " + shortened(*refusal);
  const auto content = message.find("content");
  if (text_field(message, "reasoning_content") || text_field(message, "reasoning") ||
      (content != message.end() && has_reasoning_part(*content))) {
    return fmt::format(
        "the response is reasoning without an answer{}: raise --max-new-tokens, or turn reasoning "
        "off; if the answer was taken for reasoning, start the server with the model's reasoning "
        "parser (vLLM and SGLang: --reasoning-parser)",
        finish_reason == "length" ? ", cut off at the token limit" : "");
  }
  const auto calls = message.find("tool_calls");
  if (calls != message.end() && calls->is_array() && !calls->empty())
    return "the response is a tool call without text";
  return "";
}

ResponseText text_of(const json& choice, const std::string& finish_reason) {
  const auto message = choice.find("message");
  if (message == choice.end() || !message->is_object()) {
    const auto text = choice.find("text");
    if (text != choice.end() && text->is_string()) return {.text = text->get<std::string>()};
    return {.why = "the response has no text"};
  }
  const auto content = message->find("content");
  ResponseText found;
  if (content != message->end() && content->is_string()) found.text = content->get<std::string>();
  if (content != message->end() && content->is_array()) found = join_parts(*content);
  const bool is_blank =
      !found.text || found.text->find_first_not_of(" \t\r\n") == std::string::npos;
  if (!is_blank || !found.why.empty()) return found;
  // An empty text alone is a response: the model ended it at once.
  if (std::string why = why_no_text(*message, finish_reason); !why.empty())
    return {.why = std::move(why)};
  if (!found.text) found.why = "the response has no text";
  return found;
}

/// Why the server itself calls the response failed, and whether another attempt can help.
std::optional<CompletionResult> failed_finish(const json& choice, const std::string& reason) {
  const auto found = choice.find("finish_reason");
  if (found != choice.end() && found->is_null())
    return outcome(Kind::kRetry, "finish_reason is null: the response is incomplete");
  if (reason == "error" || reason == "abort" || reason == "aborted" || reason == "cancelled") {
    return outcome(
        Kind::kRetry,
        fmt::format("finish_reason is '{}': the server broke off the response; the cause "
                    "is in its log (often memory: lower --concurrency)",
                    reason));
  }
  // Google's and OpenRouter's names beside OpenAI's.
  for (const char* filter : {"content_filter", "safety", "recitation", "refusal"}) {
    if (reason != filter && lower_ascii(reason) != filter) continue;
    return outcome(Kind::kRejected,
                   fmt::format("finish_reason is '{}': the server's content filter withheld the "
                               "response; drop the prompt or turn the filter off",
                               reason));
  }
  return std::nullopt;
}

/// An error object or text in `object`; empty errors are none.
const json* find_error(const json& object) {
  const auto error = object.find("error");
  if (error == object.end() || error->is_null() || *error == false || *error == "" ||
      (error->is_object() && error->empty())) {
    return nullptr;
  }
  return &*error;
}

/// HTTP status of an error object: its `code`, a number or digits; 500 if it has none.
int status_of_error(const json& error) {
  const auto code = error.is_object() ? error.find("code") : error.end();
  if (!error.is_object() || code == error.end()) return 500;
  const std::string digits = code->is_string() ? code->get<std::string>() : code->dump();
  const bool is_status = digits.size() == 3 && digits >= "300" && digits <= "599" &&
                         std::all_of(digits.begin(), digits.end(),
                                     [](unsigned char c) { return std::isdigit(c) != 0; });
  return is_status ? std::stoi(digits) : 500;
}

std::string message_of_error(const json& error) {
  if (error.is_string()) return error.get<std::string>();
  if (error.is_object()) {
    if (const auto message = text_field(error, "message")) return *message;
  }
  return error.dump();
}

/// An error status, or an error object under status 200.
CompletionResult parse_error(const hub::HttpResponse& response, int status,
                             const std::string& message, const ServerOptions& options) {
  switch (status) {
    case 401:
    case 403: {
      const std::string key =
          options.api_key_env.empty()
              ? "no API key was given; name the variable that holds it with --api-key-env"
              : "the server rejects the API key in " + options.api_key_env;
      return outcome(Kind::kFatal, fmt::format("{} ({})", message, key));
    }
    case 402:
      return outcome(Kind::kFatal, message);
    case 404:
      return outcome(Kind::kFatal,
                     fmt::format("{} (check the model name '{}' (--server-model) and the endpoint "
                                 "(--endpoint))",
                                 message, options.model));
    case 405:
      return outcome(Kind::kFatal, fmt::format("{} (check --endpoint)", message));
    case 429:
      // OpenAI's code for an account out of credit: retries cannot help.
      if (response.body.find("insufficient_quota") != std::string::npos)
        return outcome(Kind::kFatal, message);
      return outcome(Kind::kThrottled, message);
    default:
      break;
  }
  if (status >= 300 && status < 400)
    return outcome(Kind::kFatal, message + " (a redirect: use its target as --server)");
  if (status >= 400 && status < 500 && status != 408 && status != 425)
    return outcome(Kind::kRejected, message);
  return outcome(Kind::kRetry, message);
}

CompletionResult parse_choice(const hub::HttpResponse& response, const json& body,
                              const ServerOptions& options) {
  const auto choices = body.find("choices");
  if (choices == body.end() || !choices->is_array() || choices->empty() ||
      !choices->front().is_object()) {
    return outcome(Kind::kRetry, "the response has no choices");
  }
  if (const auto model = body.find("model"); model != body.end() && model->is_string()) {
    const auto& name = model->get_ref<const std::string&>();
    if (!name.empty() && !is_same_model(options, name)) {
      return outcome(Kind::kFatal, fmt::format("the response is from model '{}', expected '{}' (if "
                                               "they are the same: --accept-model '{}')",
                                               name, options.model, name));
    }
  }
  const json& choice = choices->front();
  const auto message = choice.find("message");
  const json* error = find_error(choice);
  if (error == nullptr && message != choice.end() && message->is_object())
    error = find_error(*message);
  if (error != nullptr) {
    return parse_error(response, status_of_error(*error),
                       "error in the response: " + shortened(message_of_error(*error)), options);
  }
  CompletionResult completion{.kind = Kind::kOk, .result = {}, .why = {}};
  completion.result.finish_reason = finish_reason_of(choice);
  if (auto failed = failed_finish(choice, completion.result.finish_reason)) return *failed;
  ResponseText found = text_of(choice, completion.result.finish_reason);
  if (!found.text || !found.why.empty()) return outcome(Kind::kRejected, std::move(found.why));
  completion.result.response = *std::move(found.text);
  if (const auto usage = body.find("usage"); usage != body.end() && usage->is_object()) {
    completion.result.num_tokens = count_of(*usage, "completion_tokens");
    completion.result.num_prompt_tokens = count_of(*usage, "prompt_tokens");
  }
  return completion;
}

text::ChatTemplate load_template(const ServerOptions& options) {
  if (options.tokenizer_dir)
    return text::ChatTemplate::load(*options.tokenizer_dir, options.template_file,
                                    options.template_date, options.template_kwargs);
  if (!options.template_file) {
    throw Error(
        ErrorKind::kUsage,
        "--endpoint completions renders the chat template: give --tokenizer DIR (the model's "
        "folder) or --template FILE");
  }
  // Without a tokenizer the special tokens are unknown: bos_token renders empty, and the server
  // adds it.
  return text::ChatTemplate::from_source(read_file(*options.template_file), {},
                                         options.template_date, options.template_file->string(),
                                         options.template_kwargs);
}

/// The BOS token, if the tokenizer prepends it.
std::string added_bos(const ServerOptions& options, const text::SpecialTokens& tokens) {
  const auto bos = tokens.find("bos_token");
  if (!options.tokenizer_dir || bos == tokens.end()) return "";
  const text::Tokenizer tokenizer = text::Tokenizer::load(*options.tokenizer_dir);
  const auto id = tokenizer.token_to_id(bos->second);
  const auto plain = tokenizer.encode("a", text::AddSpecialTokens::kNo),
             with_special = tokenizer.encode("a", text::AddSpecialTokens::kYes);
  const bool adds = id && with_special.size() > plain.size() && with_special.front() == *id;
  return adds ? bos->second : "";
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

bool requires_max_completion_tokens(const hub::HttpResponse& response) {
  return response.status == 400 && response.body.find("max_completion_tokens") != std::string::npos;
}

std::int64_t request_seed(std::uint64_t seed, const std::string& prompt_id, std::int32_t sample) {
  const std::string digest = sha256_hex(fmt::format("{} {} {}", seed, sample, prompt_id));
  return std::stoll(digest.substr(0, 8), nullptr, 16) & 0x7fffffff;
}

nlohmann::ordered_json common_fields(const ServerOptions& options, const SamplingOptions& sampling,
                                     ServerKind kind) {
  nlohmann::ordered_json fields = {{"model", options.model},
                                   {"max_tokens", sampling.max_new_tokens},
                                   {"temperature", sampling.temperature},
                                   {"top_p", sampling.top_p},
                                   {"stream", false}};
  const bool llama_cpp = kind == ServerKind::kLlamaCpp;
  // "All tokens" is -1 for vLLM and SGLang, 0 for llama.cpp, which rejects negative numbers.
  if (options.top_k) fields["top_k"] = *options.top_k > 0 ? *options.top_k : (llama_cpp ? 0 : -1);
  if (options.min_p) fields["min_p"] = *options.min_p;
  if (options.repetition_penalty)
    fields[llama_cpp ? "repeat_penalty" : "repetition_penalty"] = *options.repetition_penalty;
  if (!sampling.stop.empty()) fields["stop"] = sampling.stop;
  if (!sampling.stop_token_ids.empty()) fields["stop_token_ids"] = sampling.stop_token_ids;
  const auto object_of = [](const char* option, const std::string& text) {
    auto json = nlohmann::ordered_json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object())
      throw Error(ErrorKind::kUsage, "{}: expected a JSON object, found '{}'", option, text);
    return json;
  };
  if (!options.template_kwargs.empty() && options.endpoint == Endpoint::kChat) {
    fields["chat_template_kwargs"] = object_of("--chat-template-kwargs", options.template_kwargs);
  }
  if (!options.extra_body.empty()) {
    const auto extra = object_of("--extra-body", options.extra_body);
    for (const auto& [name, value] : extra.items()) fields[name] = value;
  }
  return fields;
}

CompletionResult parse_completion(const hub::HttpResponse& response, const ServerOptions& options) {
  if (!response.error.empty()) return outcome(Kind::kRetry, hub::describe(response));
  if (response.status < 200 || response.status >= 300)
    return parse_error(response, response.status, hub::describe(response), options);
  const json body = json::parse(response.body, nullptr, /*allow_exceptions=*/false);
  if (!body.is_object()) {
    const std::size_t start = response.body.find_first_not_of(" \t\r\n");
    const bool html = start != std::string::npos && response.body[start] == '<';
    return outcome(Kind::kRetry, html ? "the response is an HTML page, expected JSON"
                                      : "the response is not a complete JSON object");
  }
  if (const json* error = find_error(body)) {
    return parse_error(response, status_of_error(*error),
                       "error in the response: " + shortened(message_of_error(*error)), options);
  }
  // vLLM before 0.10 and FastChat: the error is the body itself.
  if (body.value("object", json()) == "error") {
    return parse_error(response, status_of_error(body),
                       "error in the response: " + shortened(message_of_error(body)), options);
  }
  return parse_choice(response, body, options);
}

bool is_same_model(const ServerOptions& options, std::string_view found) {
  const auto matches = [&](const std::string& wanted) {
    const std::string a = bare_name(wanted), b = bare_name(found);
    return wanted == found || a == b || is_version_of(a, b);
  };
  return matches(options.model) ||
         std::any_of(options.accepted_models.begin(), options.accepted_models.end(), matches);
}

ModelList parse_model_list(const std::string& text) {
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

PromptRenderer::PromptRenderer(const ServerOptions& options)
    : template_(load_template(options)),
      stripped_bos_(added_bos(options, template_.special_tokens())) {}

std::string PromptRenderer::render(const Conversation& prompt) const {
  std::string text = template_.render(prompt, text::GenerationPrompt::kYes);
  if (!stripped_bos_.empty() && text.starts_with(stripped_bos_))
    text.erase(0, stripped_bos_.size());
  return text;
}

}  // namespace charm::generate
