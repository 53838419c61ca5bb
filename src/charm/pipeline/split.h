#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "charm/base/fs.h"
#include "charm/storage/read_options.h"

namespace charm::pipeline {

/// Copies the responses of one policy into the run directory: canonical columns, the policy's name
/// in the recipe, only the prompts in `prompts_file` (empty path: all). Throws kInput when no row
/// remains or the file has several policies and none of that name.
void import_responses(const fs::path& input, const storage::ReadOptions& read,
                      const std::string& policy, const fs::path& prompts_file,
                      const fs::path& output);

/// One policy's score file and its two parts.
struct SplitFile {
  fs::path scores;
  fs::path fit;
  fs::path held_out;
};

/// Splits score files by prompt and writes the number of prompts of each part to `facts` (JSON).
/// Throws kInput when a part is empty.
void split_scores(std::span<const SplitFile> files, std::uint64_t seed, double share,
                  const fs::path& facts);

}  // namespace charm::pipeline
