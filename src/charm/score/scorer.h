#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "charm/base/progress.h"
#include "charm/engine/reward_model.h"
#include "charm/engine/token_batch.h"
#include "charm/score/row_store.h"
#include "charm/storage/record_writer.h"
#include "charm/text/conversation_encoder.h"

namespace charm {
class OptionTable;
}

namespace charm::score {

enum class Pooling {
  kAuto,  ///< right-most token that is not config.pad_token_id, as transformers does
  kLast,  ///< always the last token
};

struct ScorerOptions {
  std::int64_t budget_tokens = 0;  ///< tokens per batch; larger needs more memory for little
                                   ///< speed. 0: device default
  Pooling pooling = Pooling::kAuto;
  int threads = 0;  ///< that render and tokenise; results do not depend on it. 0: all processors
};

/// `--pooling` and `--budget-tokens`.
void describe_scorer(OptionTable& table, ScorerOptions& options);

/// The result of a row.
struct RowScore {
  float score = 0.0f;           ///< raw head output, unbounded; meaningless when `error` is set
  std::int32_t num_tokens = 0;  ///< tokens of the templated conversation, as the model saw them
  bool truncated = false;
  std::optional<std::string> error;  ///< why this row has no score
};

/// Throws kUsage for a pooling that the model does not have.
void require_pooling(const engine::RewardModel& model, Pooling pooling);

/// A row's tokens up to the pooled one, which may be the model's appended token. `gate_tokens`: the
/// model's. Throws kInput when a token is out of range for the model's vocabulary, or when no token
/// qualifies.
engine::PooledRow pool_row(text::EncodedConversation tokens, const engine::RewardModel& model,
                           Pooling pooling, std::span<const std::int32_t> gate_tokens);

/// Called with finished rows: positions in the `rows` of the call, and their results.
using ScoredFn =
    std::function<void(std::span<const std::size_t> positions, std::span<const RowScore> results)>;

/// Scores rows of the store: render chat -> tokens -> prompt groups -> batches -> model -> a column
/// of results in the order of `rows`. Rows of one prompt share its prefix. A row that cannot be
/// scored gets an error.
std::vector<RowScore> score_rows(engine::RewardModel& model,
                                 const text::ConversationEncoder& encoder, const RowStore& store,
                                 std::span<const std::size_t> rows, const ScorerOptions& options,
                                 const ScoredFn& on_scored = {}, const ProgressFn& progress = {});

/// A row and its result, for the writer.
storage::ScoredRow scored_row(const RowStore& store, std::size_t row, const RowScore& result);

}  // namespace charm::score
