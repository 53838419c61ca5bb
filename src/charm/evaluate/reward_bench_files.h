#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>

#include "charm/base/files.h"
#include "charm/evaluate/reward_bench.h"

namespace charm::evaluate {

/// What scripts/run_rm.py of rewardbench 0.1.4 writes to `eval-set/<model>.json`: accuracy per
/// subset, model, model_type, chat_template.
nlohmann::json reward_bench_accuracies(const RewardBenchResult& result, const std::string& model);

/// `eval-set-scores/<model>.json`: columns id, subset, results (1 right, 0 wrong), scores_chosen,
/// scores_rejected. The templated texts that run_rm.py adds are left out: the saved-score file has
/// the texts.
nlohmann::json reward_bench_scores(std::span<const ScoredEvalItem> rows, const std::string& model);

/// Writes both below `folder`.
void write_reward_bench_files(const fs::path& folder, const RewardBenchResult& result,
                              std::span<const ScoredEvalItem> rows, const std::string& model);

}  // namespace charm::evaluate
