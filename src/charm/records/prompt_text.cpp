#include "charm/records/prompt_text.h"

#include <fmt/format.h>

namespace charm {

std::string prompt_text(const Conversation& prompt) {
  if (prompt.size() == 1 && prompt.front().role == "user") return prompt.front().content;
  std::string text;
  for (const Message& message : prompt) {
    text += fmt::format("{}{}: {}", text.empty() ? "" : "\n", message.role, message.content);
  }
  return text;
}

}  // namespace charm
