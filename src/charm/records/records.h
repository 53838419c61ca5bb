#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "charm/records/conversation.h"

namespace charm {

struct Prompt {
  std::string prompt_id;
  Conversation messages;
};

/// One policy's response to one prompt. The key is (policy, prompt_id, sample).
struct Response {
  std::string prompt_id;
  Conversation prompt;
  std::string response;  ///< may be empty: an empty response is valid
  std::string policy;
  std::int32_t sample = 0;                   ///< index among several responses to the same prompt
  std::optional<std::string> finish_reason;  ///< "stop", "length", ... if known
  std::optional<std::int32_t> num_tokens;    ///< the generator's token count, if known
  std::string members{};  ///< `Message::members` of the assistant's turn: tool_calls, ...

  /// The assistant's turn.
  Message message() const { return {"assistant", response, members}; }
};

/// A response as generated.
struct GeneratedResponse {
  Response response;
  std::optional<std::int32_t> num_prompt_tokens;  ///< of the templated prompt
  std::optional<std::string> error;  ///< why there is no response; the text is then empty
};

/// Sampling parameters of generated responses; empty: the server's default.
struct SamplingSettings {
  double temperature = 0.0;
  double top_p = 1.0;
  std::optional<std::int32_t> top_k;
  std::optional<double> min_p;
  std::optional<double> repetition_penalty;
  std::int32_t max_new_tokens = 0;
};

/// A response with the reward model's raw head output.
struct ScoredResponse {
  Response response;
  float score = 0.0f;           ///< raw head output, unbounded; meaningless when `error` is set
  std::int32_t num_tokens = 0;  ///< tokens of the templated conversation, as the model saw them
  bool truncated = false;
  std::optional<std::string> error;  ///< why this row has no score
};

/// A score without its texts, for measuring and calibrating. The key is (policy, prompt_id,
/// sample).
struct Score {
  std::string prompt_id;
  std::string policy;
  std::int32_t sample = 0;
  float score = 0.0f;
  std::optional<std::string> error;
};

/// The rows of one scores file and its name for messages.
struct ScoreFile {
  std::string name;
  std::vector<Score> rows;
  std::string prompt_id_type = {};  ///< as stored: "string", "int64"; empty: computed from prompts
};

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
