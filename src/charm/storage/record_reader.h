#pragma once

#include <filesystem>
#include <functional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "charm/records/records.h"
#include "charm/storage/read_options.h"

// Readers of the records that stages exchange, in file order. They understand the column spellings
// of docs/data-formats.md and throw kInput naming file and line (or row). A file without any usable
// row is an error.
namespace charm::storage {

/// Prompts of any data set: of responses, preference pairs or plain prompts. A prompt that occurs
/// again gets "-2", "-3", ...
std::vector<Prompt> read_prompts(const std::filesystem::path& path, const ReadOptions& options);

/// One response a row. (policy, prompt_id, sample) is unique: without a `sample` column repeats get
/// "-2", "-3", ...
std::vector<Response> read_responses(const std::filesystem::path& path, const ReadOptions& options);

/// Rows that carry a finite score or an error, with their texts.
std::vector<ScoredResponse> read_scored_responses(const std::filesystem::path& path,
                                                  const ReadOptions& options);

/// As `read_scored_responses`, one row at a time, for files larger than memory.
void for_each_scored_response(const std::filesystem::path& path, const ReadOptions& options,
                              const std::function<void(ScoredResponse&&)>& body);

/// Scores alone; of columnar files the texts are not read.
std::vector<Score> read_scores(const std::filesystem::path& path, const ReadOptions& options);

/// The scores of several files, in order; throws kInput when two files claim the same policy.
std::vector<Score> read_score_files(std::span<const std::filesystem::path> paths,
                                    const ReadOptions& options);

/// Pairs as whole conversations. prompt_id is the given one or that of the common prompt; pairs of
/// one prompt share it.
std::vector<PreferencePair> read_preferences(const std::filesystem::path& path,
                                             const ReadOptions& options);

/// Throws kInput naming both files and the policy when two files hold rows of the same policy.
void check_distinct_policies(
    const std::vector<std::pair<std::filesystem::path, std::set<std::string>>>& policies_of_files);

}  // namespace charm::storage
