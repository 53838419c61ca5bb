#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "charm/records/conversation.h"

namespace charm {

/// A question put to the policies.
struct Prompt {
  std::string prompt_id;
  Conversation messages;
};

/// What one policy answered to one prompt. The key is (policy, prompt_id, sample).
struct Response {
  std::string prompt_id;
  Conversation prompt;
  std::string response;  ///< may be empty: an empty answer is an answer
  std::string policy;
  std::int32_t sample = 0;  ///< number of the draw where a policy answered several times
  std::optional<std::string> finish_reason;  ///< "stop", "length", ... where the generator knows
  std::optional<std::int32_t> num_tokens;    ///< the generator's own count, where known
};

/// A response with the reward model's raw head output.
struct ScoredResponse {
  Response response;
  float score = 0.0f;           ///< raw head output, unbounded; meaningless when `error` is set
  std::int32_t num_tokens = 0;  ///< tokens of the whole templated conversation that the model read
  bool truncated = false;
  std::optional<std::string> error;  ///< why this row has no score
};

/// A score without its texts: what measuring and calibrating need. The key is (policy, prompt_id,
/// sample).
struct Score {
  std::string prompt_id;
  std::string policy;
  std::int32_t sample = 0;
  float score = 0.0f;
  std::optional<std::string> error;
};

/// The rows of one scores file, with the name that messages use for it.
struct ScoreFile {
  std::string name;
  std::vector<Score> rows;
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

/// A policy's Chatbot Arena rating in Elo points.
struct ArenaRating {
  std::string name;
  double rating_elo = 0.0;
  std::optional<double> rating_lo;  ///< lower end of the 95 % interval
  std::optional<double> rating_hi;  ///< upper end of the 95 % interval
};

/// How a response is written, as counts: what people's votes follow beside its content.
struct StyleCounts {
  double length = 0.0;   ///< tokens, or characters where nobody counted tokens
  double headers = 0.0;  ///< Markdown headers
  double lists = 0.0;    ///< list items
  double bold = 0.0;     ///< bold stretches
};

/// A vote between the answers of two models to one prompt.
struct Battle {
  std::string model_a;
  std::string model_b;
  double outcome = 0.5;                ///< 1: model_a won, 0: model_b won, 0.5: a tie
  std::optional<StyleCounts> style_a;  ///< as the file counts it
  std::optional<StyleCounts> style_b;
  std::string text_a;  ///< the assistant's turns, where the file has them and styles are asked for
  std::string text_b;
};

/// One row of a benchmark: 1 x 1 texts for RewardBench, 3 x 3 for RM-Bench, 1 x n for
/// RewardBench 2.
struct EvalItem {
  std::string id;      ///< as in the dataset; unique only together with `subset`
  std::string subset;  ///< RewardBench's subset, RM-Bench's domain
  Conversation prompt;
  std::vector<std::string> chosen;
  std::vector<std::string> rejected;
};

/// A benchmark row with the reward model's scores (raw head output), one per text in the dataset's
/// order.
struct ScoredEvalItem {
  EvalItem item;
  std::vector<double> score_chosen;
  std::vector<double> score_rejected;
};

}  // namespace charm
