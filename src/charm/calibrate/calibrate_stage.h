#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "charm/base/progress.h"
#include "charm/calibrate/calibration.h"

namespace charm::calibrate {

struct CalibrateOptions {
  std::vector<std::filesystem::path> scores;  ///< scores files, one or more policies each
  std::filesystem::path ratings;  ///< Arena ratings in any form that storage::read_ratings knows
  std::string category;           ///< Arena category, where the ratings file holds several
  std::map<std::string, std::string> aliases;  ///< policy name -> name in the ratings file
  std::string
      reference;  ///< policy that keeps its scores (offset 0): choose one the RM values rightly
  std::vector<std::string> policies;  ///< calibrate only these; empty: all in the scores
  std::filesystem::path output;       ///< calibration.json
  SolveOptions solve;
  /// Share of the prompts kept from the fit, on which the offsets are then checked; the split is
  /// that of a recipe's `holdout`. Choose it so that both sides keep some hundred prompts.
  double holdout = 0.0;
  std::vector<std::filesystem::path> held_out_scores;  ///< prompts kept apart already, as files
  bool leave_one_out = false;     ///< fit again without each policy, to see what that does to it
  std::int64_t min_prompts = 30;  ///< fewer common prompts on a pair are an error
  bool strict = false;            ///< prompts missing on one side are an error
  std::int64_t max_bad_rows = 0;  ///< rows that cannot be read before the command ends
};

/// Reads scores and ratings, finds the offsets, writes `output` and its manifest.
Calibration calibrate(const CalibrateOptions& options, const ProgressFn& progress = {});

}  // namespace charm::calibrate
