#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "charm/records/conversation.h"

// Typed fields of a JSON row, with the column names in common use. All functions throw kInput
// without location: the reader adds file and row.
namespace charm::storage {

/// The prompt of any kind of row: `prompt`, `instruction` (with a non-empty `input` below it),
/// `messages` or `conversations` without a closing assistant turn, or what `chosen` and `rejected`
/// share; with the row's `system`, `history` and `tools`.
Conversation prompt_field(const nlohmann::ordered_json& row);

struct Exchange {
  Conversation prompt;
  Message response;
};

/// Prompt and response: a response column (`response`, `output`, `completion`) with a prompt, or
/// `messages` or `conversations` whose last turn is the assistant's.
Exchange exchange_fields(const nlohmann::ordered_json& row);

/// `chosen` and `rejected` as whole conversations with their common prompt.
struct PairSides {
  Conversation chosen;
  Conversation rejected;
  Conversation prompt;
};
PairSides pair_fields(const nlohmann::ordered_json& row);

/// `prompt_id` if given (a text or an integer).
std::optional<std::string> prompt_id_field(const nlohmann::ordered_json& row);

/// `sample` if given.
std::optional<std::int32_t> sample_field(const nlohmann::ordered_json& row);

/// `policy`, `generator` or `model` if given.
std::optional<std::string> policy_field(const nlohmann::ordered_json& row);

struct ScoreField {
  float score = 0.0f;
  std::optional<std::string> error;
};
/// A finite `score`, or `error`.
ScoreField score_field(const nlohmann::ordered_json& row);

// Optional columns; absent and null are the same.
std::optional<std::string> text_field(const nlohmann::ordered_json& row, const char* column);
std::optional<std::int32_t> count_field(const nlohmann::ordered_json& row, const char* column);
std::optional<double> number_field(const nlohmann::ordered_json& row, const char* column);
std::optional<bool> flag_field(const nlohmann::ordered_json& row, const char* column);

// Values of conversation columns.

/// A string (one user turn); a list of {role, content, ...} or ShareGPT's {from, value}, one such
/// message, or {role: [...], content: [...]} as `datasets` stores sequences. A list of text parts
/// is a content; other parts are refused.
Conversation conversation_of(const nlohmann::ordered_json& value, std::string_view column);

/// The chosen or rejected side of a pair as a whole conversation that ends with the assistant's
/// turn. A string or a list that starts with the assistant continues `prompt`; other lists, and
/// without a prompt strings in the "\n\nHuman: ... \n\nAssistant: ..." form, include the prompt.
Conversation finished_conversation(const nlohmann::ordered_json& value, std::string_view column,
                                   const Conversation& prompt);

/// The common leading turns, without the last turn of either: the prompt of a pair.
Conversation common_prompt(const Conversation& chosen, const Conversation& rejected);

/// Adds the row's `system` and `history` before the turns, and its `tools`.
void add_context(const nlohmann::ordered_json& row, Conversation& conversation);

bool ends_with_assistant(const Conversation& conversation);

}  // namespace charm::storage
