#include <algorithm>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "charm/base/error.h"
#include "charm/storage/row_fields.h"

namespace charm::storage {
namespace {

using Json = nlohmann::ordered_json;

// The value of a member; nullptr if absent or null.
const Json* find_member(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

// Names a message in errors.
struct Place {
  std::string_view column;
  std::size_t turn = 0;  // from 0
};

template <typename... Args>
[[noreturn]] void refuse(const Place& place, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(ErrorKind::kInput, "column '{}', message {}: {}", place.column, place.turn + 1,
              fmt::format(format, std::forward<Args>(args)...));
}

// The text of a list of parts {"type": "text", "text": "..."}.
std::string text_of_parts(const Json& parts, const Place& place) {
  std::string text;
  for (const Json& part : parts) {
    const Json* type = part.is_object() ? find_member(part, "type") : nullptr;
    const Json* part_text = part.is_object() ? find_member(part, "text") : nullptr;
    const bool is_text =
        type != nullptr && *type == "text" && part_text != nullptr && part_text->is_string();
    if (!is_text) {
      refuse(place, "its content has a part of type {}; only text parts can be scored",
             type == nullptr ? std::string(part.type_name()) : type->dump());
    }
    text += part_text->get<std::string>();
  }
  return text;
}

// A list of parts without null members: in columnar files every part has every member.
Json without_nulls(const Json& parts) {
  Json kept = Json::array();
  for (const Json& part : parts) {
    Json members = Json::object();
    for (const auto& [name, value] : part.items()) {
      if (!value.is_null()) members[name] = value;
    }
    kept.push_back(std::move(members));
  }
  return kept;
}

// Tool calls stand in place of a content; a user's message without one says nothing.
bool may_lack_content(std::string_view role) {
  return role == "assistant" || role == "tool" || role == "function" || role == "ipython";
}

// A message {role, content, ...} as `Message`.
Message message_of(const Json& object, const Place& place) {
  const Json* role = find_member(object, "role");
  if (role == nullptr || !role->is_string()) {
    refuse(place, "expected a string 'role', found {}",
           role == nullptr ? "none" : role->type_name());
  }
  Message message{role->get<std::string>(), ""};

  std::map<std::string, Json> others;  // sorted: their order says nothing
  for (const auto& [name, value] : object.items()) {
    if (name == "role" || name == "content" || value.is_null()) continue;
    if (name != "members" || !value.is_string()) {
      others[name] = value;
      continue;
    }
    // Parquet files of this program have the members as JSON text.
    const auto& text = value.get_ref<const std::string&>();
    const Json members = Json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (!members.is_object()) refuse(place, "expected a JSON object in 'members', found {}", text);
    for (const auto& [member, member_value] : members.items()) others[member] = member_value;
  }

  Json content;  // what the template sees unless it is a text
  const auto stored = others.extract("content");
  const auto given = object.find("content");
  bool has_content = !stored.empty() || given != object.end();
  if (!stored.empty()) {
    content = stored.mapped();
  } else if (given != object.end()) {
    content = *given;
  }
  if (content.is_string()) {
    message.content = content.get<std::string>();
  } else if (content.is_array()) {
    message.content = text_of_parts(content, place);
    content = without_nulls(content);
  } else if (!content.is_null() || others.empty() || !may_lack_content(message.role)) {
    refuse(place, "expected a string or a list of text parts 'content', found {}",
           has_content ? content.type_name() : "none");
  }
  // A file of this program writes an absent content as null.
  const bool is_stored = object.contains("members") && object["members"].is_string();
  if (is_stored && stored.empty() && content.is_null()) has_content = false;

  const bool is_text = content.is_string();
  if (others.empty() && is_text) return message;
  Json members = Json::object();
  if (has_content && (!is_text || message.content.empty())) members["content"] = content;
  for (auto& [name, value] : others) members[name] = std::move(value);
  message.members = members.dump();
  return message;
}

// ShareGPT's {from, value} as {role, content}.
Json message_of_turn(const Json& turn, const Place& place) {
  static const std::map<std::string, std::string> kRoles = {{"human", "user"},
                                                            {"user", "user"},
                                                            {"gpt", "assistant"},
                                                            {"assistant", "assistant"},
                                                            {"system", "system"}};
  const auto role =
      turn["from"].is_string() ? kRoles.find(turn["from"].get<std::string>()) : kRoles.end();
  if (role == kRoles.end())
    refuse(place, "'from' is {}; expected human, gpt or system", turn["from"].dump());
  Json message = {{"role", role->second}, {"content", turn.value("value", Json())}};
  for (const auto& [name, value] : turn.items()) {
    if (name != "from" && name != "value") message[name] = value;
  }
  return message;
}

Conversation from_messages(const Json& list, std::string_view column) {
  if (list.empty())
    throw Error(ErrorKind::kInput, "column '{}': the list of messages is empty", column);
  Conversation conversation;
  for (const Json& message : list) {
    const Place place{column, conversation.size()};
    if (!message.is_object()) {
      refuse(place, "expected an object with role and content, found {}", message.type_name());
    }
    const bool is_turn = find_member(message, "role") == nullptr && message.contains("from");
    conversation.push_back(is_turn ? message_of(message_of_turn(message, place), place)
                                   : message_of(message, place));
  }
  return conversation;
}

// A single message, or lists of equal length for each member, as `datasets` stores sequences.
Conversation from_object(const Json& object, std::string_view column) {
  const Json* roles = find_member(object, object.contains("role") ? "role" : "from");
  if (roles != nullptr && roles->is_string()) return from_messages(Json::array({object}), column);
  const bool fits =
      roles != nullptr && roles->is_array() &&
      std::all_of(object.begin(), object.end(), [&](const Json& values) {
        return values.is_null() || (values.is_array() && values.size() == roles->size());
      });
  if (!fits) {
    throw Error(ErrorKind::kInput,
                "column '{}': expected a list of messages with role and content, found an object",
                column);
  }
  Json list = Json::array();
  for (std::size_t i = 0; i < roles->size(); ++i) {
    Json message = Json::object();
    for (const auto& [name, values] : object.items()) {
      if (!values.is_null()) message[name] = values[i];
    }
    list.push_back(std::move(message));
  }
  return from_messages(list, column);
}

// The transcript format of early preference datasets (hh-rlhf): "\n\nHuman: ...\n\nAssistant: ...".
constexpr std::string_view kHumanTurn = "\n\nHuman:";
constexpr std::string_view kAssistantTurn = "\n\nAssistant:";

Conversation from_transcript(std::string_view text) {
  Conversation conversation;
  while (!text.empty()) {
    const bool human = text.starts_with(kHumanTurn);
    text.remove_prefix((human ? kHumanTurn : kAssistantTurn).size());
    if (text.starts_with(' ')) text.remove_prefix(1);
    const std::size_t end =
        std::min({text.find(kHumanTurn), text.find(kAssistantTurn), text.size()});
    conversation.push_back({human ? "user" : "assistant", std::string(text.substr(0, end))});
    text.remove_prefix(end);
  }
  return conversation;
}

// `system`: a text, or a system message. Empty without one.
std::string system_column(const RowView& row) {
  const Value value = row["system"];
  if (value.is_null()) return "";
  if (const auto text = plain_text_of(row, value, "system")) return *text;
  const Conversation messages = conversation_of(row, value, "system");
  if (messages.size() != 1 || messages.front().role != "system" ||
      !messages.front().members.empty()) {
    throw Error(ErrorKind::kInput, "column 'system': expected a text or one system message");
  }
  return messages.front().content;
}

// `history`: earlier turns as pairs of texts [user, assistant].
Conversation history_column(const RowView& row) {
  const Json value = json_of(row["history"], "history");
  Conversation turns;
  if (value.is_null() || value == "") return turns;
  const auto is_pair = [](const Json& pair) {
    return pair.is_array() && pair.size() == 2 && pair[0].is_string() && pair[1].is_string();
  };
  if (!value.is_array() || !std::all_of(value.begin(), value.end(), is_pair)) {
    throw Error(ErrorKind::kInput,
                "column 'history': expected a list of pairs of texts [user, assistant]");
  }
  for (const Json& pair : value) {
    turns.push_back({"user", pair[0].get<std::string>()});
    turns.push_back({"assistant", pair[1].get<std::string>()});
  }
  return turns;
}

// `tools`: a list of JSON schemas, each an object or its JSON text, or the whole list as JSON text.
// As compact JSON; empty without tools.
std::string tools_column(const RowView& row) {
  const Json value = json_of(row["tools"], "tools");
  if (value.is_null() || value == "") return "";
  const auto parse = [](const Json& json) {
    if (!json.is_string()) return json;
    return Json::parse(json.get_ref<const std::string&>(), nullptr, /*allow_exceptions=*/false);
  };
  Json tools = parse(value);
  if (tools.is_null()) return "";
  bool fits = tools.is_array();
  if (fits) {
    for (Json& tool : tools) {
      tool = parse(tool);
      fits = fits && tool.is_object();
    }
  }
  if (!fits) {
    throw Error(ErrorKind::kInput,
                "column 'tools': expected a list of JSON schemas or its JSON text");
  }
  return tools.empty() ? "" : tools.dump();
}

}  // namespace

std::string template_kwargs_of(Json value, std::string_view column) {
  if (value.is_null() || value == "") return "";
  const std::string found = value.is_structured() ? value.type_name() : value.dump();
  if (value.is_string()) {
    value = Json::parse(value.get_ref<const std::string&>(), nullptr, /*allow_exceptions=*/false);
  }
  if (!value.is_object()) {
    throw Error(ErrorKind::kInput,
                "column '{}': expected a JSON object of the template's variables, or its JSON "
                "text, found {}",
                column, found);
  }
  std::map<std::string, Json> variables;  // sorted: their order says nothing
  for (const auto& [name, variable] : value.items()) {
    if (name == "messages" || name == "tools" || name == "add_generation_prompt") {
      throw Error(ErrorKind::kInput,
                  "column '{}': '{}' is part of every conversation and no variable of its own",
                  column, name);
    }
    if (!variable.is_null()) variables[name] = variable;
  }
  return variables.empty() ? "" : Json(variables).dump();
}

bool is_transcript(std::string_view text) { return text.starts_with(kHumanTurn); }

std::optional<Conversation> prompt_transcript(std::string_view text) {
  const std::size_t end = text.find_last_not_of(" \t\r\n");
  if (!is_transcript(text) || !text.substr(0, end + 1).ends_with(kAssistantTurn))
    return std::nullopt;
  Conversation prompt = from_transcript(text.substr(0, end + 1));
  prompt.pop_back();  // the assistant's turn, which is to be written
  return prompt;
}

std::optional<Conversation> helpsteer_turns(std::string_view text) {
  constexpr std::string_view kMark = "\n<extra_id_1>";
  constexpr std::string_view kNames[] = {"User\n", "Assistant\n"};
  Conversation prompt;
  while (true) {
    const std::size_t end = std::min(text.find(kMark), text.size());
    const bool is_user = prompt.size() % 2 == 0;
    prompt.push_back({is_user ? "user" : "assistant", std::string(text.substr(0, end))});
    if (end == text.size()) break;
    text.remove_prefix(end + kMark.size());
    const std::string_view next = kNames[is_user ? 1 : 0];
    if (!text.starts_with(next)) return std::nullopt;
    text.remove_prefix(next.size());
  }
  if (prompt.size() < 2 || ends_with_assistant(prompt)) return std::nullopt;
  return prompt;
}

bool ends_with_assistant(const Conversation& conversation) {
  return !conversation.empty() && conversation.back().role == "assistant";
}

Conversation conversation_of(const Json& value, std::string_view column) {
  if (value.is_string()) return {{"user", value.get<std::string>()}};
  if (value.is_object()) return from_object(value, column);
  if (!value.is_array()) {
    throw Error(ErrorKind::kInput, "column '{}': expected a string or a list of messages, found {}",
                column, value.type_name());
  }
  return from_messages(value, column);
}

void add_context(const RowView& row, Conversation& conversation) {
  Conversation context = history_column(row);
  const std::string system = system_column(row);
  const bool has_system = !conversation.empty() && conversation.front().role == "system";
  if (!system.empty() && has_system && conversation.front().content != system) {
    throw Error(ErrorKind::kInput,
                "column 'system' is not the system message that the conversation begins with");
  }
  if (!system.empty() && !has_system) conversation.insert(conversation.begin(), {"system", system});
  const bool after_system = !conversation.empty() && conversation.front().role == "system";
  conversation.insert(conversation.begin() + (after_system ? 1 : 0),
                      std::make_move_iterator(context.begin()),
                      std::make_move_iterator(context.end()));
  conversation.tools = tools_column(row);
  constexpr const char* kKwargs = "chat_template_kwargs";
  conversation.template_kwargs = template_kwargs_of(json_of(row[kKwargs], kKwargs), kKwargs);
}

Conversation finished_conversation(std::string text, std::string_view column, Conversation prompt) {
  if (!is_transcript(text)) {
    Message& turn = prompt.emplace_back();
    turn.role = "assistant";
    turn.content = std::move(text);
    return prompt;
  }
  return finished_conversation(from_transcript(text), column, {});
}

Conversation finished_conversation(Conversation messages, std::string_view column,
                                   Conversation prompt) {
  if (messages.front().role != "assistant") prompt.clear();
  prompt.insert(prompt.end(), std::make_move_iterator(messages.begin()),
                std::make_move_iterator(messages.end()));
  if (prompt.size() < 2 || !ends_with_assistant(prompt)) {
    throw Error(
        ErrorKind::kInput,
        "column '{}': expected a conversation that ends with the assistant's turn after a prompt",
        column);
  }
  return prompt;
}

Conversation common_prompt(const Conversation& chosen, const Conversation& rejected) {
  const std::size_t limit = std::min(chosen.size(), rejected.size()) - 1;
  std::size_t common = 0;
  while (common < limit && chosen[common] == rejected[common]) ++common;
  return common > 0 ? leading_turns(chosen, common) : Conversation();
}

}  // namespace charm::storage
