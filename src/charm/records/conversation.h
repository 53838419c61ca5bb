#pragma once

#include <string>
#include <vector>

namespace charm {

/// One turn. `role` is "system", "user" or "assistant" (others are passed to the template as they
/// are).
struct Message {
  std::string role;
  std::string content;
  bool operator==(const Message&) const = default;
};

/// Turns in order; a prompt ends with a user turn, a finished conversation with an assistant turn.
using Conversation = std::vector<Message>;

/// The compact JSON `[{"role":"user","content":"..."}]`: keys in that order, UTF-8 unescaped.
std::string conversation_json(const Conversation& conversation);

/// First 16 hex digits of SHA-256 of `conversation_json`: the identity of a prompt that brings none
/// of its own.
std::string prompt_id_of(const Conversation& prompt);

}  // namespace charm
