#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "charm/base/progress.h"
#include "charm/records/arena.h"
#include "charm/records/score.h"
#include "charm/results/result_file.h"
#include "charm/storage/manifest.h"
#include "charm/storage/read_options.h"

namespace charm::storage {

struct ScoreInputOptions {
  std::vector<std::filesystem::path> scores;  ///< one or more policies each
  std::filesystem::path ratings;              ///< any form that read_ratings accepts
  std::string category;                       ///< of an Arena catalogue
  std::string date;                           ///< leaderboard_publish_date of the ratings
  std::int64_t max_bad_rows = 0;              ///< rows of a file that may be unusable
  ColumnNames columns;                        ///< of the scores, where they differ
  double holdout = 0.0;    ///< share of prompts held out, see is_held_out; 0: none
  std::uint64_t seed = 0;  ///< of the split
  std::vector<std::filesystem::path>
      held_out_scores;  ///< scores of held-out prompts, as separate files
};

using results::InputFile;

/// The inputs of measuring and calibrating.
struct ScoreInputs {
  std::vector<ScoreFile> scores;
  std::vector<ScoreFile> held_out;  ///< rows of held-out prompts, if any
  std::vector<ArenaRating> ratings;
  std::vector<InputFile> files;  ///< all input files, in reading order
};

/// Reads scores and ratings and records every file in the manifest. Throws kUsage if both kinds of
/// hold-out are given, kInput if a side of the split is empty.
ScoreInputs read_score_inputs(const ScoreInputOptions& options, Manifest& manifest,
                              const ProgressFn& progress = {});

}  // namespace charm::storage
