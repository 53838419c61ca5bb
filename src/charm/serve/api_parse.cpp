#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "charm/base/error.h"
#include "charm/base/parse_json.h"
#include "charm/base/strings.h"
#include "charm/serve/api.h"
#include "charm/storage/row_fields.h"

namespace charm::serve {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::array<std::pair<std::string_view, Shape>, 6> kPaths = {
    {{"/score", Shape::kScore},
     {"/classify", Shape::kClassify},
     {"/pooling", Shape::kPooling},
     {"/v1/embeddings", Shape::kEmbeddings},
     {"/get_reward", Shape::kGetReward},
     {"/v1/score/evaluation", Shape::kScoreEvaluation}}};

/// The value of a member; nullptr if absent or null.
const Json* member(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

[[noreturn]] void refuse(std::string_view field, std::string_view expected, const Json* found) {
  throw Error(ErrorKind::kInput, "{}: expected {}, found {}", field, expected,
              found == nullptr ? "none" : found->type_name());
}

const Json& required(const Json& object, const char* name, std::string_view expected) {
  const Json* value = member(object, name);
  if (value == nullptr) refuse(name, expected, nullptr);
  return *value;
}

std::string optional_text(const Json& object, const char* name) {
  const Json* value = member(object, name);
  if (value == nullptr) return "";
  if (!value->is_string()) refuse(name, "a string", value);
  return value->get<std::string>();
}

bool optional_flag(const Json& object, const char* name) {
  const Json* value = member(object, name);
  if (value == nullptr) return false;
  if (!value->is_boolean()) refuse(name, "true or false", value);
  return value->get<bool>();
}

/// Members that would change scores and that this server cannot follow: not to be ignored.
void refuse_unsupported(const Json& body, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    if (member(body, name) == nullptr) continue;
    throw Error(ErrorKind::kInput,
                "{}: cannot be set by a request; start the server with --max-tokens and "
                "--truncation instead",
                name);
  }
}

void add_texts(const Json& body, const char* name, bool single_text, ApiRequest& request) {
  const Json& value =
      required(body, name, single_text ? "a text or a list of texts" : "a list of texts");
  if (single_text && value.is_string()) {
    request.inputs.emplace_back(value.get<std::string>());
    return;
  }
  if (!value.is_array())
    refuse(name, single_text ? "a text or a list of texts" : "a list of texts", &value);
  for (std::size_t i = 0; i < value.size(); ++i) {
    if (!value[i].is_string()) refuse(fmt::format("{}[{}]", name, i), "a text", &value[i]);
    request.inputs.emplace_back(value[i].get<std::string>());
  }
}

/// `field`: its place in the body.
Exchange exchange_of(const Json& object, const std::string& field) {
  const Json* messages = member(object, "messages");
  const std::string place = field.empty() ? "messages" : field + ".messages";
  if (messages == nullptr || !messages->is_array()) refuse(place, "a list of messages", messages);
  Exchange exchange;
  exchange.prompt = storage::conversation_of(*messages, place);
  if (exchange.prompt.back().role != "assistant") {
    throw Error(ErrorKind::kInput,
                "{}: the last message has role '{}'; expected 'assistant', the response to score",
                place, exchange.prompt.back().role);
  }
  exchange.response = std::move(exchange.prompt.back());
  exchange.prompt.pop_back();
  if (const Json* tools = member(object, "tools")) {
    if (!tools->is_array()) refuse(field.empty() ? "tools" : field + ".tools", "a list", tools);
    if (!tools->empty()) exchange.prompt.tools = tools->dump();
  }
  if (const Json* kwargs = member(object, "chat_template_kwargs"))
    exchange.prompt.template_kwargs = storage::template_kwargs_of(*kwargs, "chat_template_kwargs");
  return exchange;
}

std::optional<std::string> policy_of(const Json& object, const std::string& field,
                                     const PolicyOffsets* offsets) {
  const Json* policy = member(object, "policy");
  if (policy == nullptr) return std::nullopt;
  const std::string place = field + ".policy";
  if (!policy->is_string()) refuse(place, "a string", policy);
  auto name = policy->get<std::string>();
  if (offsets == nullptr || offsets->offsets.contains(name)) return name;
  std::vector<std::string> known;
  for (const auto& [policy_name, offset] : offsets->offsets) known.push_back(policy_name);
  std::string nearest;
  for (const std::string& candidate : nearest_names(name, known))
    nearest += (nearest.empty() ? "" : ", ") + candidate;
  throw Error(ErrorKind::kInput, "{}: '{}' is not a policy of {}; nearest names: {}", place, name,
              offsets->file, nearest);
}

void add_conversations(const Json& body, const PolicyOffsets* offsets, ApiRequest& request) {
  const Json& list = required(body, "conversations", "a list of conversations");
  if (!list.is_array()) refuse("conversations", "a list of conversations", &list);
  for (std::size_t i = 0; i < list.size(); ++i) {
    const std::string field = fmt::format("conversations[{}]", i);
    if (!list[i].is_object()) refuse(field, "an object with messages", &list[i]);
    for (const auto& [name, value] : list[i].items()) {
      if (name == "messages" || name == "policy" || name == "tools" ||
          name == "chat_template_kwargs")
        continue;
      throw Error(ErrorKind::kInput,
                  "{}.{}: unknown member; expected messages, policy, tools or "
                  "chat_template_kwargs",
                  field, name);
    }
    request.inputs.emplace_back(exchange_of(list[i], field));
    request.policies.push_back(policy_of(list[i], field, offsets));
  }
}

/// vLLM's `input`, or `messages` of one conversation.
void add_input(const Json& body, ApiRequest& request) {
  if (member(body, "messages") != nullptr && member(body, "input") == nullptr) {
    request.inputs.emplace_back(exchange_of(body, ""));
  } else {
    add_texts(body, "input", /*single_text=*/true, request);
  }
  // Names of vLLM's versions, newest first.
  for (const char* name : {"use_activation", "activation", "softmax"})
    request.use_activation = request.use_activation || optional_flag(body, name);
}

void add_embedding_input(const Json& body, ApiRequest& request) {
  refuse_unsupported(body, {"dimensions"});
  add_texts(body, "input", /*single_text=*/true, request);
  const std::string format = optional_text(body, "encoding_format");
  if (!format.empty() && format != "float" && format != "base64") {
    throw Error(ErrorKind::kInput, "encoding_format: expected float or base64, found '{}'", format);
  }
  request.base64 = format == "base64";
}

}  // namespace

std::optional<Shape> shape_of_path(std::string_view path) {
  for (const auto& [name, shape] : kPaths) {
    if (name == path) return shape;
  }
  return std::nullopt;
}

std::span<const std::string_view> post_paths() {
  static constexpr auto kNames = [] {
    std::array<std::string_view, kPaths.size()> names{};
    for (std::size_t i = 0; i < kPaths.size(); ++i) names[i] = kPaths[i].first;
    return names;
  }();
  return kNames;
}

ApiRequest parse_request(Shape shape, std::string_view text, const PolicyOffsets* offsets) {
  if (const auto invalid = find_invalid_utf8(text)) {
    throw Error(ErrorKind::kInput, "the body: invalid UTF-8 at byte {}", *invalid + 1);
  }
  const auto body = parse_json<Json>(text, "the body");
  if (!body.is_object()) refuse("the body", "a JSON object", &body);
  ApiRequest request{.shape = shape, .inputs = {}, .policies = {}, .model = {}};
  request.model = optional_text(body, "model");
  refuse_unsupported(body, {"truncate_prompt_tokens", "max_length"});
  switch (shape) {
    case Shape::kScore:
      add_conversations(body, offsets, request);
      break;
    case Shape::kClassify:
    case Shape::kPooling:
      add_input(body, request);
      break;
    case Shape::kEmbeddings:
      add_embedding_input(body, request);
      break;
    case Shape::kGetReward:
      add_texts(body, "query", /*single_text=*/false, request);
      break;
    case Shape::kScoreEvaluation:
      add_texts(body, "messages", /*single_text=*/false, request);
      break;
  }
  if (request.inputs.empty())
    throw Error(ErrorKind::kInput, "the request has no texts: its list is empty");
  return request;
}

}  // namespace charm::serve
