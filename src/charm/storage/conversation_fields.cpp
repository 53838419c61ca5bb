#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>

#include "charm/base/error.h"
#include "charm/storage/row_fields.h"

namespace charm::storage {
namespace {

std::string text_member(const nlohmann::ordered_json& message, const char* name, std::string_view column,
                        std::size_t turn) {
  const auto member = message.find(name);
  if (member == message.end() || !member->is_string()) {
    throw Error(ErrorKind::kInput, "column '{}', message {}: expected a string '{}', found {}",
                column, turn + 1, name, member == message.end() ? "none" : member->type_name());
  }
  return member->get<std::string>();
}

Conversation from_messages(const nlohmann::ordered_json& list, std::string_view column) {
  if (list.empty())
    throw Error(ErrorKind::kInput, "column '{}': the list of messages is empty", column);
  Conversation conversation;
  for (const nlohmann::ordered_json& message : list) {
    const std::size_t turn = conversation.size();
    if (!message.is_object()) {
      throw Error(ErrorKind::kInput,
                  "column '{}', message {}: expected an object with role and content, found {}",
                  column, turn + 1, message.type_name());
    }
    conversation.push_back({text_member(message, "role", column, turn),
                            text_member(message, "content", column, turn)});
  }
  return conversation;
}

Conversation from_parallel_lists(const nlohmann::ordered_json& object, std::string_view column) {
  const auto roles = object.find("role");
  const auto contents = object.find("content");
  if (roles == object.end() || contents == object.end() || !roles->is_array() ||
      !contents->is_array() || roles->size() != contents->size()) {
    throw Error(ErrorKind::kInput, "column '{}': expected a list of messages, found an object",
                column);
  }
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (std::size_t i = 0; i < roles->size(); ++i) {
    list.push_back({{"role", (*roles)[i]}, {"content", (*contents)[i]}});
  }
  return from_messages(list, column);
}

// The transcript format of early preference datasets (hh-rlhf): "\n\nHuman: ...\n\nAssistant: ...".
Conversation from_transcript(std::string_view text) {
  constexpr std::string_view kHuman = "\n\nHuman:";
  constexpr std::string_view kAssistant = "\n\nAssistant:";
  Conversation conversation;
  while (!text.empty()) {
    const bool human = text.starts_with(kHuman);
    text.remove_prefix((human ? kHuman : kAssistant).size());
    if (text.starts_with(' ')) text.remove_prefix(1);
    const std::size_t end = std::min({text.find(kHuman), text.find(kAssistant), text.size()});
    conversation.push_back({human ? "user" : "assistant", std::string(text.substr(0, end))});
    text.remove_prefix(end);
  }
  return conversation;
}

}  // namespace

bool ends_with_assistant(const Conversation& conversation) {
  return !conversation.empty() && conversation.back().role == "assistant";
}

Conversation conversation_of(const nlohmann::ordered_json& value, std::string_view column) {
  if (value.is_string()) return {{"user", value.get<std::string>()}};
  if (value.is_object()) return from_parallel_lists(value, column);
  if (!value.is_array()) {
    throw Error(ErrorKind::kInput, "column '{}': expected a string or a list of messages, found {}",
                column, value.type_name());
  }
  return from_messages(value, column);
}

Conversation finished_conversation(const nlohmann::ordered_json& value, std::string_view column,
                                   const Conversation& prompt) {
  Conversation conversation = prompt;
  if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    if (!prompt.empty()) {
      conversation.push_back({"assistant", text});
      return conversation;
    }
    if (!text.starts_with("\n\nHuman:")) {
      throw Error(
          ErrorKind::kInput,
          "column '{}' is a plain text, so the row needs a prompt: expected a column 'prompt'",
          column);
    }
    conversation = from_transcript(text);
  } else {
    Conversation messages = conversation_of(value, column);
    if (messages.front().role != "assistant") conversation.clear();
    conversation.insert(conversation.end(), messages.begin(), messages.end());
  }
  if (conversation.size() < 2 || !ends_with_assistant(conversation)) {
    throw Error(
        ErrorKind::kInput,
        "column '{}': expected a conversation that ends with the assistant's turn after a prompt",
        column);
  }
  return conversation;
}

Conversation common_prompt(const Conversation& chosen, const Conversation& rejected) {
  const std::size_t limit = std::min(chosen.size(), rejected.size()) - 1;
  std::size_t common = 0;
  while (common < limit && chosen[common] == rejected[common]) ++common;
  return {chosen.begin(), chosen.begin() + static_cast<std::ptrdiff_t>(common)};
}

}  // namespace charm::storage
