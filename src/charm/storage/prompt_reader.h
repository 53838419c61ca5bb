#pragma once

#include <filesystem>
#include <vector>

#include "charm/records/records.h"
#include "charm/storage/read_options.h"

namespace charm::storage {

/// What is taken of a prompt of several turns.
enum class PromptTurns {
  kAll,           ///< every turn before the answer
  kFirstOfPairs,  ///< of rows that have only `chosen` and `rejected` the first user turn, with a
                  ///< system message before it; else all
  kFirst,         ///< the same of every row
};

/// As `read_prompts` of record_reader.h, which takes all turns.
std::vector<Prompt> read_prompts(const std::filesystem::path& path, const ReadOptions& options,
                                 PromptTurns turns);

}  // namespace charm::storage
