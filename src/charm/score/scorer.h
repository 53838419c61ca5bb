#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "charm/base/option_table.h"
#include "charm/base/progress.h"
#include "charm/model/reward_model.h"
#include "charm/records/records.h"
#include "charm/text/conversation_encoder.h"

namespace charm::score {

enum class Pooling {
  kAuto,  ///< right-most token that is not config.pad_token_id, as transformers does
  kLast,  ///< always the last token
};

struct ScorerOptions {
  std::int64_t budget_tokens = 0;  ///< tokens per batch; larger needs more memory for little
                                   ///< speed. 0: device default
  Pooling pooling = Pooling::kAuto;
};

/// `--pooling` and `--budget-tokens`.
void describe_scorer(OptionTable& table, ScorerOptions& options);

/// Called with finished rows: indices into `rows` and their results.
using ScoredFn =
    std::function<void(std::span<const std::size_t> rows, std::span<const ScoredResponse> results)>;

/// Scores rows: render chat -> tokens -> groups -> batches -> model -> results in input order. Rows
/// of one prompt share its prefix. A row that cannot be scored gets an error.
std::vector<ScoredResponse> score_responses(model::RewardModel& model,
                                            const text::ConversationEncoder& encoder,
                                            std::span<const Response> rows,
                                            const ScorerOptions& options,
                                            const ScoredFn& on_scored = {},
                                            const ProgressFn& progress = {});

}  // namespace charm::score
