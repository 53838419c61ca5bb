#pragma once

#include <string>

#include "charm/records/conversation.h"

namespace charm {

/// A conversation as one text for people: that of a single user message, else "role: content" for
/// each turn.
std::string prompt_text(const Conversation& prompt);

}  // namespace charm
