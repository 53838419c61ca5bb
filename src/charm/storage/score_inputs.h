#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "charm/base/progress.h"
#include "charm/records/arena.h"
#include "charm/records/records.h"
#include "charm/storage/manifest.h"

namespace charm::storage {

struct ScoreInputOptions {
  std::vector<std::filesystem::path> scores;  ///< one or more policies each
  std::filesystem::path ratings;              ///< in any form that read_ratings knows
  std::string category;                       ///< of an Arena catalogue
  std::int64_t max_bad_rows = 0;              ///< rows of a file that may be unusable
  double holdout = 0.0;    ///< share of the prompts set apart, see is_held_out; 0: none
  std::uint64_t seed = 0;  ///< of the split
  std::vector<std::filesystem::path> held_out_scores;  ///< prompts set apart already, as files
};

/// One file that a result was made from.
struct InputFile {
  std::filesystem::path path;
  std::string sha256;
  std::int64_t num_rows = 0;
};

/// What measuring and calibrating read.
struct ScoreInputs {
  std::vector<ScoreFile> scores;
  std::vector<ScoreFile> held_out;  ///< rows of the prompts set apart; empty without any
  std::vector<ArenaRating> ratings;
  std::vector<InputFile> files;  ///< all that were read, in this order
};

/// Reads scores and ratings and names every file in the manifest. Throws kUsage for a share outside
/// [0, 1) or when prompts are set apart both ways, kInput when a side of the split is empty.
ScoreInputs read_score_inputs(const ScoreInputOptions& options, Manifest& manifest,
                              const ProgressFn& progress = {});

/// [{path, sha256, num_rows}], the `inputs` member of a result file.
nlohmann::ordered_json inputs_json(std::span<const InputFile> files);

}  // namespace charm::storage
