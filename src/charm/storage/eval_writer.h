#pragma once

#include <filesystem>
#include <span>

#include "charm/records/eval_item.h"

namespace charm::storage {

/// How the texts and scores of a benchmark row are stored.
enum class EvalShape {
  kPair,         ///< RewardBench: `chosen`, `rejected`, `score_chosen`, `score_rejected` are single
                 ///< values; the group is `subset`
  kLists,        ///< RM-Bench: they are lists in the dataset's order; the group is `domain`
  kSubsetLists,  ///< RewardBench 2: lists in the dataset's order; the group is `subset`
};

/// Writes a saved-score file: id, subset or domain, prompt, chosen, rejected, score_chosen,
/// score_rejected. Parquet (zstd) or JSONL by the extension; the same rows give the same bytes;
/// appears whole or not at all. `prompt` is text where every prompt is a single user message, else
/// a message list. A row without scores (it failed to score) has nulls.
void write_eval_scores(const std::filesystem::path& path, std::span<const ScoredEvalItem> rows,
                       EvalShape shape);

}  // namespace charm::storage
