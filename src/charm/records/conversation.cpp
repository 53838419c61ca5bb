#include "charm/records/conversation.h"

#include <fmt/format.h>

#include "charm/base/hashing.h"

namespace charm {
namespace {

// JSON string escapes as Python's json.dumps(ensure_ascii=False) writes them.
void append_json_string(std::string& out, const std::string& text) {
  out += '"';
  for (const char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\b':
        out += "\\b";
        break;
      case '\f':
        out += "\\f";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          out += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
        } else {
          out += c;
        }
    }
  }
  out += '"';
}

bool overrides_content(std::string_view members) { return members.starts_with("{\"content\":"); }

}  // namespace

bool has_text_content(const Message& message) {
  if (message.members.empty()) return true;
  if (!overrides_content(message.members)) return !message.content.empty();
  return message.members.starts_with("{\"content\":\"");
}

std::string message_json(const Message& message) {
  std::string out = "{\"role\":";
  append_json_string(out, message.role);
  const bool is_plain = message.members.empty();
  if (is_plain || (!message.content.empty() && !overrides_content(message.members))) {
    out += ",\"content\":";
    append_json_string(out, message.content);
  }
  if (is_plain) return out += '}';
  out += ',';
  return out.append(message.members, 1);  // without its opening brace
}

std::string messages_json(const Conversation& conversation) {
  std::string out = "[";
  for (const Message& message : conversation) {
    if (out.size() > 1) out += ',';
    out += message_json(message);
  }
  return out += ']';
}

std::string conversation_json(const Conversation& conversation) {
  std::string messages = messages_json(conversation);
  if (conversation.tools.empty() && conversation.template_kwargs.empty()) return messages;
  std::string out = "{\"messages\":" + messages;
  if (!conversation.tools.empty()) out += ",\"tools\":" + conversation.tools;
  if (!conversation.template_kwargs.empty())
    out += ",\"chat_template_kwargs\":" + conversation.template_kwargs;
  return out += '}';
}

Conversation leading_turns(const Conversation& conversation, std::size_t num_turns) {
  Conversation leading(conversation.begin(),
                       conversation.begin() + static_cast<std::ptrdiff_t>(num_turns));
  leading.tools = conversation.tools;
  leading.template_kwargs = conversation.template_kwargs;
  return leading;
}

std::string_view without_thinking(std::string_view text) {
  constexpr std::string_view kSpaces = " \t\r\n";
  constexpr std::string_view kOpen = "<think>";
  constexpr std::string_view kClose = "</think>";
  const std::size_t begin = text.find_first_not_of(kSpaces);
  if (begin == std::string_view::npos || !text.substr(begin).starts_with(kOpen)) return text;
  const std::size_t close = text.find(kClose, begin + kOpen.size());
  if (close == std::string_view::npos) return text;
  const std::size_t answer = text.find_first_not_of(kSpaces, close + kClose.size());
  return answer == std::string_view::npos ? std::string_view() : text.substr(answer);
}

std::string prompt_id_of(const Conversation& prompt) {
  return sha256_hex(conversation_json(prompt)).substr(0, 16);
}

bool is_held_out(const Conversation& prompt, std::uint64_t seed, double share) {
  const std::string hash =
      sha256_hex(fmt::format("hold out, seed {}: {}", seed, conversation_json(prompt)));
  const auto bits = std::stoull(hash.substr(0, 13), nullptr, 16);  // 52 bits: exact in a double
  return static_cast<double>(bits) < share * 0x1p52;
}

std::string prompt_text(const Conversation& prompt) {
  if (prompt.size() == 1 && prompt.front().role == "user") return prompt.front().content;
  std::string text;
  for (const Message& message : prompt) {
    text += fmt::format("{}{}: {}", text.empty() ? "" : "\n", message.role, message.content);
  }
  return text;
}

}  // namespace charm
