#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "charm/records/arena.h"
#include "charm/records/conversation.h"

namespace charm {

/// A person's (or judge model's) choice between the responses of two models to one prompt.
struct Vote {
  std::string prompt_id;  ///< votes on one question share it: the unit of clusters and hold-outs
  std::string model_a;
  std::string model_b;
  double outcome = 0.5;              ///< 1: model_a won, 0: model_b won, 0.5: a tie
  std::string judge;                 ///< who voted; empty: unknown
  std::string question;              ///< the source's id of the question; empty: none
  std::optional<std::int32_t> turn;  ///< of the response that was judged, from 1
};

/// A vote with what was shown: both conversations up to the judged response, which comes last.
struct VoteTexts {
  Vote vote;
  Conversation conversation_a;
  Conversation conversation_b;
};

/// A vote with the reward model's scores of both responses.
struct ScoredVote {
  Vote vote;
  float score_a = 0.0f;  ///< raw head output, unbounded; meaningless when `error` is set
  float score_b = 0.0f;
  std::optional<StyleCounts> style_a;
  std::optional<StyleCounts> style_b;
  std::optional<std::string> error;  ///< why a side has no score
};

}  // namespace charm
