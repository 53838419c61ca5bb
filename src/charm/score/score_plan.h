#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "charm/engine/reward_model.h"
#include "charm/score/row_store.h"
#include "charm/score/score_stage.h"
#include "charm/text/conversation_encoder.h"

namespace charm::score {

/// What a run is about to compute.
struct ScorePlan {
  std::int64_t num_rows = 0;
  std::int64_t num_prompts = 0;
  std::int64_t num_tokens = 0;         ///< that pass through the model: a prompt's once
  bool estimated = false;              ///< from a sample of the prompts
  std::optional<double> tokens_per_s;  ///< of the sample; absent where that would cost too much
};

/// Tokenises up to 64 of the prompts with their responses, and scores some of those.
ScorePlan plan_scoring(engine::RewardModel& model, const text::ConversationEncoder& encoder,
                       const RowStore& store, std::span<const std::size_t> rows, Pooling pooling);

/// "2415 rows of 805 prompts to score, about 1.2 million tokens; expected 3 min (6900 tokens/s)".
std::string plan_text(const ScorePlan& plan);

/// "rm: LlamaForSequenceClassification in float32 (auto: this CPU has no native bfloat16) on cpu,
/// backend avx2".
std::string model_text(const ScoreStageOptions& options, const engine::RewardModel& model);

}  // namespace charm::score
