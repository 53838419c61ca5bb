#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace charm {

/// One turn. Any role is passed on to the chat template.
struct Message {
  std::string role;
  std::string content;  ///< the text; of a list of text parts, their texts joined
  /// What the message has besides a role and a text, as a compact JSON object: tool_calls,
  /// tool_call_id, name, reasoning_content, ..., in alphabetical order; empty for a plain message.
  /// First stands `content` if it is null, a list of text parts or an empty text; with members,
  /// an empty `content` that is not among them is absent from the message.
  std::string members{};
  bool operator==(const Message&) const = default;
};

/// Turns in order; a prompt ends with a user (or tool) turn, a finished conversation with an
/// assistant turn.
struct Conversation : std::vector<Message> {
  using std::vector<Message>::vector;
  std::string tools;  ///< JSON schemas of the tools, a compact JSON list; empty: none
  /// Variables of the chat template, a compact JSON object, names in alphabetical order; empty:
  /// none
  std::string template_kwargs;
  bool operator==(const Conversation&) const = default;
};

/// Whether the message's content is a text, possibly an empty one, and not null, absent or a list.
bool has_text_content(const Message& message);

/// The whole message as compact JSON: role, content, members.
std::string message_json(const Message& message);

/// The turns as a compact JSON list: what a chat template gets as `messages`.
std::string messages_json(const Conversation& conversation);

/// `messages_json`, for plain messages `[{"role":"user","content":"..."}]`: keys in that order,
/// UTF-8 unescaped; with tools or template variables
/// `{"messages":[...],"tools":[...],"chat_template_kwargs":{...}}`.
std::string conversation_json(const Conversation& conversation);

/// The first turns, with the tools and template variables of all.
Conversation leading_turns(const Conversation& conversation, std::size_t num_turns);

/// A response's text after the reasoning that it begins with: after the first <think>...</think>
/// and the white space around it. The whole text if it does not begin with <think> or has no
/// </think>.
std::string_view without_thinking(std::string_view text);

/// First 16 hex digits of SHA-256 of `conversation_json`: the id of prompts without a given one.
std::string prompt_id_of(const Conversation& prompt);

/// Whether a prompt is held out from calibration and training: whether a hash of its text and the
/// seed falls into the share. Equal prompts are on the same side regardless of their ids, and a
/// larger share is a superset of a smaller one.
bool is_held_out(const Conversation& prompt, std::uint64_t seed, double share);

/// A conversation as one text for people: that of a single user message, else "role: content" for
/// each turn.
std::string prompt_text(const Conversation& prompt);

}  // namespace charm
