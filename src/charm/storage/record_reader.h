#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "charm/storage/read_options.h"

namespace charm {
struct PreferencePair;
struct Prompt;
struct Response;
struct ResponseRow;
struct Score;
struct ScoreFile;
struct ScoredResponse;
}  // namespace charm

// Readers of the records that stages exchange, in file order. They accept the column names of
// docs/data-formats.md and throw kInput naming file and line (or row). A file without any valid row
// is an error.
namespace charm::storage {

class RowSource;

/// Which turns of a multi-turn prompt to take.
enum class PromptTurns {
  kAll,           ///< every turn before the response
  kFirstOfPairs,  ///< for rows that only have `chosen` and `rejected` the first user turn, with a
                  ///< system message before it; else all
  kFirst,         ///< the same for every row
};

/// Prompts of any dataset: of responses, preference pairs or plain prompts. Repeated prompt ids get
/// "-2", "-3", ...
std::vector<Prompt> read_prompts(const std::filesystem::path& path, const ReadOptions& options,
                                 PromptTurns turns = PromptTurns::kAll);

/// One response per row. (policy, prompt_id, sample) is unique: without a `sample` column, repeated
/// prompt ids get "-2", "-3", ...
std::vector<Response> read_responses(const std::filesystem::path& path, const ReadOptions& options);

/// One entry per row of a table in memory, in its order; `name` stands for the file in messages.
std::vector<ResponseRow> read_response_rows(std::unique_ptr<RowSource> rows, std::string name);

/// Rows with a finite score or an error, with their texts.
std::vector<ScoredResponse> read_scored_responses(const std::filesystem::path& path,
                                                  const ReadOptions& options);

/// As `read_scored_responses`, one row at a time, for files larger than memory.
void for_each_scored_response(const std::filesystem::path& path, const ReadOptions& options,
                              const std::function<void(ScoredResponse&&)>& body);

/// Scores only, with the stored type of prompt_id; text columns of columnar files are not read.
ScoreFile read_score_file(const std::filesystem::path& path, const ReadOptions& options);
std::vector<Score> read_scores(const std::filesystem::path& path, const ReadOptions& options);

/// The scores of several files, in order; throws kInput if two files have the same policy.
std::vector<Score> read_score_files(std::span<const std::filesystem::path> paths,
                                    const ReadOptions& options);

/// Pairs as whole conversations. prompt_id is the given one or that of the common prompt; it is not
/// unique.
std::vector<PreferencePair> read_preferences(const std::filesystem::path& path,
                                             const ReadOptions& options);

/// Throws kInput naming both columns' types if prompt_id is a text in one file and a number in
/// another and they share no id, or spell one differently: "0001" and 1.
void check_comparable_ids(std::span<const ScoreFile> files);

/// Throws kInput naming both files and the policy if two files have rows of the same policy.
void check_distinct_policies(
    const std::vector<std::pair<std::filesystem::path, std::set<std::string>>>& policies_of_files);

}  // namespace charm::storage
