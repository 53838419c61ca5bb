#pragma once

#include <optional>
#include <string>

#include "charm/records/conversation.h"

namespace charm {

/// A training pair; both sides are whole conversations that end with the assistant's turn (TRL's
/// implicit-prompt form).
struct PreferencePair {
  std::string prompt_id;
  Conversation chosen;
  Conversation rejected;
  std::optional<double> score_chosen;    ///< calibrated score
  std::optional<double> score_rejected;  ///< calibrated score
  std::optional<double> margin;          ///< score_chosen - score_rejected
  std::string policy_chosen;
  std::string policy_rejected;
};

}  // namespace charm
