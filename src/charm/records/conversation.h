#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace charm {

/// One turn. `role` is "system", "user" or "assistant" (others are passed on to
/// the template).
struct Message {
  std::string role;
  std::string content;
  bool operator==(const Message&) const = default;
};

/// Turns in order; a prompt ends with a user turn, a finished conversation with an assistant turn.
using Conversation = std::vector<Message>;

/// The compact JSON `[{"role":"user","content":"..."}]`: keys in that order, UTF-8 unescaped.
std::string conversation_json(const Conversation& conversation);

/// First 16 hex digits of SHA-256 of `conversation_json`: the id of prompts without a given one.
std::string prompt_id_of(const Conversation& prompt);

/// Whether a prompt is held out from calibration and training: whether a hash of its text and the
/// seed falls into the share. Equal prompts are on the same side regardless of their ids, and a
/// larger share is a superset of a smaller one.
bool is_held_out(const Conversation& prompt, std::uint64_t seed, double share);

}  // namespace charm
