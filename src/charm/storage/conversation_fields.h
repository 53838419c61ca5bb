#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string_view>

#include "charm/records/conversation.h"

// Conversations as they stand in columns. Everything throws kInput without location: the reader
// knows the row.
namespace charm::storage {

/// A string (one user turn), a list of {role, content}, or {role: [...], content: [...]} as
/// `datasets` stores sequences.
Conversation conversation_of(const nlohmann::json& value, std::string_view column);

/// The chosen or rejected side of a pair as a whole conversation that ends with the assistant's
/// turn. A string or a list that starts with the assistant continues `prompt`; other lists, and
/// strings in the "\n\nHuman: ... \n\nAssistant: ..." form where there is no prompt, hold the
/// prompt themselves.
Conversation finished_conversation(const nlohmann::json& value, std::string_view column,
                                   const Conversation& prompt);

/// The turns both begin with, without the last turn of either: the prompt of a pair.
Conversation common_prompt(const Conversation& chosen, const Conversation& rejected);

bool ends_with_assistant(const Conversation& conversation);

}  // namespace charm::storage
