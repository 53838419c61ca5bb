#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "charm/storage/provenance.h"

namespace charm {
struct Conversation;
struct GeneratedResponse;
struct PreferencePair;
struct Prompt;
struct Response;
struct SamplingSettings;
struct ScoredEvalItem;
struct ScoredResponse;
}  // namespace charm

// Writers of the records that stages exchange. The extension selects the format: .parquet (zstd),
// .jsonl or .jsonl.gz. Deterministic: equal rows give equal bytes. Files are written atomically.
// Throw kUsage for other extensions, kIo otherwise. Files of prompts, pairs and benchmarks have a
// column `tools` and a field `members` in messages only where a row needs them, files of responses
// and scores always (docs/data-formats.md).
namespace charm::storage {

/// Throws kUsage for an unknown extension. Call before long work starts.
void require_known_extension(const std::filesystem::path& path);

/// Columns: prompt_id, prompt.
void write_prompts(const std::filesystem::path& path, std::span<const Prompt> rows);

/// Columns: prompt_id, prompt, response, policy, sample, finish_reason?, tools?, response_members?,
/// num_tokens?.
void write_responses(const std::filesystem::path& path, std::span<const Response> rows);

/// Columns: prompt_id, prompt, response?, policy, sample, finish_reason?, tools?,
/// response_members?, num_tokens?, num_prompt_tokens?, error?, and the sampling settings, equal in
/// all rows: temperature, top_p, top_k?, min_p?, repetition_penalty?, max_new_tokens.
void write_generated(const std::filesystem::path& path, std::span<const GeneratedResponse> rows,
                     const SamplingSettings& sampling, const Provenance& provenance = {});

/// Columns: prompt_id, prompt, response, policy, sample, finish_reason?, tools?,
/// response_members?, response_num_tokens?, score?, num_tokens, truncated, error?. `provenance`
/// goes into a Parquet file's metadata.
void write_scores(const std::filesystem::path& path, std::span<const ScoredResponse> rows,
                  const Provenance& provenance = {});

/// A scored row whose texts are held elsewhere.
struct ScoredRow {
  const Response* response = nullptr;  ///< its `prompt` is not read
  const Conversation* prompt = nullptr;
  float score = 0.0f;
  std::int32_t num_tokens = 0;
  bool truncated = false;
  const std::optional<std::string>* error = nullptr;
};

/// The same for rows that `row_at` names; it is called several times per row.
void write_scores(const std::filesystem::path& path, std::size_t num_rows,
                  const std::function<ScoredRow(std::size_t)>& row_at,
                  const Provenance& provenance = {});

/// Columns: prompt_id, chosen, rejected; if a pair has scores score_chosen?, score_rejected?,
/// margin?; policy_chosen, policy_rejected.
void write_preferences(const std::filesystem::path& path, std::span<const PreferencePair> rows);

/// How the texts and scores of a benchmark row are stored.
enum class EvalShape {
  kPair,         ///< RewardBench: `chosen`, `rejected`, `score_chosen`, `score_rejected` are single
                 ///< values; the group is `subset`
  kLists,        ///< RM-Bench: they are lists in the dataset's order; the group is `domain`
  kSubsetLists,  ///< RewardBench 2, RMB, PPE: lists in the dataset's order; the group is `subset`
};

/// Writes a saved-score file: id, subset or domain, prompt, chosen, rejected, score_chosen,
/// score_rejected; of PPE also `pairs`, a flat list of indices into chosen and rejected. `prompt`
/// is text if every prompt is a single user message, else a message list. A row that failed to
/// score has null scores.
void write_eval_scores(const std::filesystem::path& path, std::span<const ScoredEvalItem> rows,
                       EvalShape shape);

}  // namespace charm::storage
