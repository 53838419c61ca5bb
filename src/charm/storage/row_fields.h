#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "charm/records/conversation.h"
#include "charm/storage/column_roles.h"
#include "charm/storage/row_view.h"

// Typed fields of a row, with the column names in common use. All functions throw kInput without
// location: the reader adds file and row.
namespace charm::storage {

// The columns that the functions below look at.
inline constexpr const char* kPromptColumns[] = {
    "prompt", "instruction", "input",   "messages", "conversations", "conversation",
    "chosen", "rejected",    "history", "system",   "tools",         "chat_template_kwargs"};
inline constexpr const char* kResponseColumns[] = {"response", "output", "completion"};
inline constexpr const char* kMessageColumns[] = {"messages", "conversations", "conversation"};
inline constexpr const char* kPolicyColumns[] = {"policy", "generator", "model"};

/// The prompt of any kind of row: `prompt`, `instruction` (with a non-empty `input` below it),
/// `messages`, `conversations` or `conversation` without a closing assistant turn, or what `chosen`
/// and `rejected` share; with the row's `system`, `history`, `tools` and `chat_template_kwargs`.
Conversation prompt_field(const RowView& row);

struct Exchange {
  Conversation prompt;
  Message response;
};

/// Prompt and response: a response column (`response`, `output`, `completion`) with a prompt, or
/// `messages`, `conversations` or `conversation` whose last turn is the assistant's.
Exchange exchange_fields(const RowView& row);

/// `chosen` and `rejected` as whole conversations with their common prompt.
struct PairSides {
  Conversation chosen;
  Conversation rejected;
  Conversation prompt;
};
PairSides pair_fields(const RowView& row);

/// `prompt_id` if given.
std::optional<std::string> prompt_id_field(const RowView& row);

/// `sample` if given.
std::optional<std::int32_t> sample_field(const RowView& row);

/// `policy`, `generator` or `model` if given.
std::optional<std::string> policy_field(const RowView& row);

struct ScoreField {
  float score = 0.0f;
  std::optional<std::string> error;
};
/// A finite `score`, or `error`.
ScoreField score_field(const RowView& row);

// Optional columns; absent and null are the same.
std::optional<std::string> text_field(const RowView& row, std::string_view column);
std::optional<std::int32_t> count_field(const RowView& row, std::string_view column);
std::optional<double> number_field(const RowView& row, std::string_view column);
std::optional<bool> flag_field(const RowView& row, std::string_view column);

// Values of conversation columns.

/// A string (one user turn); a list of {role, content, ...} or ShareGPT's {from, value}, one such
/// message, or {role: [...], content: [...]} as `datasets` stores sequences. A list of text parts
/// is a content; other parts are refused.
Conversation conversation_of(const nlohmann::ordered_json& value, std::string_view column);

/// Whether a text has the form of hh-rlhf, "\n\nHuman: ...\n\nAssistant: ...".
bool is_transcript(std::string_view text);

/// A prompt in the "\n\nHuman: ... \n\nAssistant:" form of hh-rlhf, which ends where the answer
/// begins; empty for any other text.
std::optional<Conversation> prompt_transcript(std::string_view text);

/// A prompt of several turns as HelpSteer2 writes it, "...\n<extra_id_1>Assistant\n...\n
/// <extra_id_1>User\n..." (its data set card); empty for any other text.
std::optional<Conversation> helpsteer_turns(std::string_view text);

/// The chosen or rejected side of a pair as a whole conversation that ends with the assistant's
/// turn. A text or messages that start with the assistant continue `prompt`; other messages, and
/// transcripts, include the prompt.
Conversation finished_conversation(std::string text, std::string_view column, Conversation prompt);
Conversation finished_conversation(Conversation messages, std::string_view column,
                                   Conversation prompt);

/// The common leading turns, without the last turn of either: the prompt of a pair.
Conversation common_prompt(const Conversation& chosen, const Conversation& rejected);

/// `chat_template_kwargs`: an object of the chat template's variables, or its JSON text; as
/// `Conversation` has them. Variables that are null are absent.
std::string template_kwargs_of(nlohmann::ordered_json value, std::string_view column);

/// Adds the row's `system` and `history` before the turns, its `tools` and template variables.
void add_context(const RowView& row, Conversation& conversation);

bool ends_with_assistant(const Conversation& conversation);

}  // namespace charm::storage
