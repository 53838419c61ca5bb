#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "charm/base/files.h"

namespace charm::pipeline {

/// The responses of one policy as the run directory holds them: canonical columns, the policy's
/// name in the recipe, only the prompts named in `prompts_file` (empty path: all). Throws kInput
/// when nothing is left or the file holds several policies and none of that name.
void import_responses(const fs::path& input, const std::optional<std::string>& split,
                      const std::string& policy, const fs::path& prompts_file,
                      const fs::path& output);

/// One policy's score file and its two parts.
struct SplitFile {
  fs::path scores;
  fs::path fit;
  fs::path held_out;
};

/// Splits score files by prompt and writes how many prompts went where to `facts` (JSON). Throws
/// kInput when a side is empty.
void split_scores(std::span<const SplitFile> files, std::uint64_t seed, double share,
                  const fs::path& facts);

}  // namespace charm::pipeline
