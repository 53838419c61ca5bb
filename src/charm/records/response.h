#pragma once

#include <cstdint>
#include <optional>
#include <string>

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

/// A row of a table as a response, or why it is none.
struct ResponseRow {
  std::optional<Response> response;
  std::string problem;
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

}  // namespace charm
