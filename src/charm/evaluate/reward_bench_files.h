#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>

#include "charm/base/fs.h"
#include "charm/records/eval_item.h"
#include "charm/results/evaluation.h"

namespace charm::evaluate {

/// Model metadata in the files.
struct RewardBenchModel {
  std::string name;                         ///< may hold a folder: "org/model"
  std::string chat_template = "tokenizer";  ///< the tokenizer's own, or the name of another one
};

/// `eval-set/<model>.json` of scripts/run_rm.py in rewardbench 0.1.4: accuracy per subset, model,
/// model_type, chat_template. `prior_sets`: those subsets alone, as `pref-sets/<model>.json`;
/// otherwise all others. Also that of scripts/run_v2.py.
nlohmann::json reward_bench_accuracies(const results::Evaluation& result,
                                       const RewardBenchModel& model, bool prior_sets = false);

/// `eval-set-scores/<model>.json` (`pref-sets-scores`): columns id, subset, results (1 correct, 0
/// incorrect), scores_chosen, scores_rejected. The templated texts that run_rm.py adds are omitted:
/// the saved-score file has the texts.
nlohmann::json reward_bench_scores(std::span<const ScoredEvalItem> rows,
                                   const RewardBenchModel& model, bool prior_sets = false);

/// The same as scripts/run_v2.py writes it: columns id, subset, num_correct, scores (chosen texts
/// first), results. `results` holds the best-of-n credit in the Ties subset too, as in run_v2.py.
nlohmann::json reward_bench_2_scores(std::span<const ScoredEvalItem> rows,
                                     const RewardBenchModel& model);

/// Writes both files of a result of version 1 or 2 below `folder`; those of the prior sets where
/// there are any.
void write_reward_bench_files(const fs::path& folder, const results::Evaluation& result,
                              std::span<const ScoredEvalItem> rows, const RewardBenchModel& model);

}  // namespace charm::evaluate
