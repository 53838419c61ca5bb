#pragma once

#include <span>
#include <string>
#include <vector>

#include "charm/score/row_store.h"
#include "charm/score/scorer.h"
#include "charm/text/chat_template.h"

namespace charm::score {

/// Warnings of scores that say nothing: all scores of a policy are equal, or those of all responses
/// to the same prompt, although the responses differ. Rows without a score are not counted.
/// @param results  one for each row of the store
std::vector<std::string> tie_warnings(const RowStore& store, std::span<const RowScore> results);

/// Whether the template shows two different responses to a prompt in the same text. False if it
/// rejects the conversation.
bool ignores_response(const text::ChatTemplate& chat_template, const Conversation& prompt);

/// Logs a warning where the encoder's template ignores the responses (by the first row), else
/// `tie_warnings`.
void warn_of_ties(const text::ConversationEncoder& encoder, const RowStore& store,
                  std::span<const RowScore> results);

/// Logs `tie_warnings`.
void warn_of_ties(const RowStore& store, std::span<const RowScore> results);

}  // namespace charm::score
