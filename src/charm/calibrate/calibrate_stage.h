#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "charm/base/progress.h"
#include "charm/calibrate/solve_options.h"
#include "charm/calibrate/vote_fit.h"
#include "charm/results/calibration.h"
#include "charm/storage/read_options.h"

namespace charm {
class OptionTable;
}

namespace charm::calibrate {

/// How ties count; each kind of input accepts two of them.
enum class CalibrateTies {
  kDefault,   ///< kLoss with ratings, kHalf with votes
  kLoss,      ///< ratings only
  kHalf,      ///< both
  kDavidson,  ///< votes only
};

struct CalibrateOptions {
  std::vector<std::filesystem::path> scores;  ///< scores files, one or more policies each
  std::vector<std::filesystem::path> votes;   ///< scored votes, instead of scores; with them the
                                              ///< ratings are optional: a prior
  std::filesystem::path ratings;  ///< Arena ratings in any form that storage::read_ratings knows
  std::string category;           ///< Arena category, where the ratings file holds several
  std::string date;               ///< leaderboard_publish_date, where it holds several
  std::map<std::string, std::string> aliases;  ///< policy name -> name in the ratings file
  std::string reference;  ///< policy with offset 0: choose one whose mismatch degree is near 0
  std::vector<std::string> policies;  ///< calibrate only these; empty: all in the scores
  std::filesystem::path output;       ///< calibration.json
  /// Folder for copies of the scores files with a column `calibrated_score`.
  std::optional<std::filesystem::path> write_scores;
  SolveOptions solve;
  CalibrateTies ties = CalibrateTies::kDefault;  ///< of the command; `solve.ties` follows it
  StyleControl style = StyleControl::kNone;      ///< votes: style features in the fit
  VoteCluster cluster = VoteCluster::kPrompt;    ///< votes: which are not independent
  std::optional<IntervalKind> interval;          ///< by default sandwich with votes, else bootstrap
  /// Share of the prompts held out of the fit, on which the offsets are then evaluated; the split
  /// is that of a recipe's `holdout`. Choose it so that both parts keep some hundred prompts.
  double holdout = 0.0;
  std::vector<std::filesystem::path> held_out_scores;  ///< scores of prompts held out beforehand
  bool leave_one_out = false;     ///< leave-one-out cross-validation over policies
  std::int64_t min_prompts = 30;  ///< minimum number of common prompts of a pair
  bool strict = false;            ///< prompts missing on one side are an error
  std::int64_t max_bad_rows = 0;  ///< unusable rows tolerated per file
  storage::ColumnNames columns;   ///< of the scores files, where they have other names
};

/// The options that a recipe section accepts.
void describe_settings(OptionTable& table, CalibrateOptions& options);

/// All options of `charm calibrate`.
void describe_command(OptionTable& table, CalibrateOptions& options);

/// Throws kUsage for settings that exclude each other in a calibration from scores and ratings.
void check_settings(const CalibrateOptions& options);

/// Reads scores and ratings, or votes, finds the offsets, writes `output` and its manifest.
Calibration calibrate(const CalibrateOptions& options, const ProgressFn& progress = {});

/// The same from votes: mode `votes`. Called by `calibrate` for options with votes.
Calibration calibrate_votes(const CalibrateOptions& options, const ProgressFn& progress);

/// Checks before work that copies of the scores files can be written to `folder`: Parquet files of
/// different names, other ones than they. Returns the files (of a folder its Parquet files).
std::vector<std::filesystem::path> check_calibrated_scores(
    std::span<const std::filesystem::path> scores, const std::filesystem::path& folder);

/// Writes each file to `folder` with all its columns and `calibrated_score` (float64): score plus
/// the policy's offset, null where the row has an error or its policy no offset. Returns the number
/// of scores without an offset.
std::int64_t write_calibrated_scores(std::span<const std::filesystem::path> files,
                                     const results::Calibration& calibration,
                                     const storage::ColumnNames& columns,
                                     const std::filesystem::path& folder);

}  // namespace charm::calibrate
