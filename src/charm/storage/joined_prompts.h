#pragma once

#include <filesystem>
#include <span>

#include "charm/records/score.h"
#include "charm/storage/read_options.h"

namespace charm::storage {

/// Compares the prompts that rows of equal prompt_id have in different files, by their last turns.
/// Ids may be row numbers of files in different orders, which would join responses to different
/// prompts. Throws kInput if more than half of the common ids have different prompts, and warns of
/// fewer. Reads no prompts where ids were computed from them, none of files without prompts, and of
/// large files the first rows.
void check_joined_prompts(std::span<const std::filesystem::path> paths,
                          std::span<const ScoreFile> files, const ReadOptions& options);

}  // namespace charm::storage
