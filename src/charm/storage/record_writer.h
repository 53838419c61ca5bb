#pragma once

#include <filesystem>
#include <span>

#include "charm/records/records.h"
#include "charm/storage/provenance.h"

// Writers of the records that stages exchange. The extension decides the format: .parquet (zstd),
// .jsonl or .jsonl.gz. The same rows give the same bytes; a file appears whole or not at all. Throw
// kUsage for other extensions, kIo otherwise.
namespace charm::storage {

/// Throws kUsage unless the writers know the extension. Call before long work starts.
void require_known_extension(const std::filesystem::path& path);

/// Columns: prompt_id, prompt.
void write_prompts(const std::filesystem::path& path, std::span<const Prompt> rows);

/// Columns: prompt_id, prompt, response, policy, sample, finish_reason?, num_tokens?.
void write_responses(const std::filesystem::path& path, std::span<const Response> rows);

/// Columns: prompt_id, prompt, response, policy, sample, finish_reason?, score?, num_tokens,
/// truncated, error?. `provenance` goes into a Parquet file's metadata.
void write_scores(const std::filesystem::path& path, std::span<const ScoredResponse> rows,
                  const Provenance& provenance = {});

/// Columns: prompt_id, chosen, rejected, score_chosen?, score_rejected?, margin?, policy_chosen,
/// policy_rejected.
void write_preferences(const std::filesystem::path& path, std::span<const PreferencePair> rows);

}  // namespace charm::storage
