#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "charm/base/progress.h"
#include "charm/evaluate/evaluate_stage.h"
#include "charm/evaluate/read_benchmark.h"
#include "charm/score/resumed_scoring.h"
#include "charm/storage/journal.h"

namespace charm {
struct Score;
}

namespace charm::evaluate {

/// The options that scores depend on.
void describe_scoring(OptionTable& table, EvaluateOptions& options);

/// Path of the scored rows: `save_scores`, or beside the output.
fs::path saved_scores_path(const EvaluateOptions& options);

/// How a manifest records the model's adapter.
nlohmann::ordered_json adapter_option(const engine::ModelSource& source);

/// The benchmark's scored rows: scored by the model, reused from a finished run with the same
/// options and inputs, or read from `scores`.
/// @param data_sha256  of `options.data`, in their order
BenchmarkRows scored_rows(const EvaluateOptions& options, std::span<const std::string> data_sha256,
                          const ProgressFn& progress);

/// Likewise for the responses of policies.
std::vector<Score> arena_scores(const EvaluateOptions& options,
                                std::span<const std::string> data_sha256,
                                const ProgressFn& progress);

struct ScoredItems {
  std::vector<ScoredEvalItem> rows;  ///< in input order; a failed row has empty score lists
  std::vector<std::string> errors;   ///< one line per failed row: which and why
};

/// Scores every text of every benchmark row as a response to the row's prompt. Scores in the
/// journal are reused, others are appended as they finish.
ScoredItems score_items(std::span<const ScoredEvalItem> rows, const score::ScoreRowsFn& score_rows,
                        storage::Journal& journal);

}  // namespace charm::evaluate
