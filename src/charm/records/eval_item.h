#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "charm/records/conversation.h"

namespace charm {

/// One row of a benchmark: 1 x 1 texts for RewardBench and JudgeBench, 3 x 3 for RM-Bench, 1 x n
/// for RewardBench 2 and RMB, all right and all wrong texts for PPE.
struct EvalItem {
  std::string id;      ///< as in the dataset; unique only together with `subset`
  std::string subset;  ///< RewardBench's subset, RM-Bench's domain
  Conversation prompt;
  std::vector<std::string> chosen;
  std::vector<std::string> rejected;
  /// PPE: the comparisons that count, as indices into chosen and rejected.
  std::vector<std::array<std::int32_t, 2>> pairs{};
};

/// A benchmark row with the reward model's scores (raw head output), one per text in the dataset's
/// order.
struct ScoredEvalItem {
  EvalItem item;
  std::vector<double> score_chosen;
  std::vector<double> score_rejected;
};

}  // namespace charm
