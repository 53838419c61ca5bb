#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "charm/base/progress.h"
#include "charm/results/mismatch.h"
#include "charm/storage/read_options.h"
#include "charm/storage/score_inputs.h"

namespace charm {
class OptionTable;
}

namespace charm::measure {

struct MeasureOptions {
  std::vector<std::filesystem::path> scores;  ///< scores files, one or more policies each
  std::vector<std::filesystem::path> votes;   ///< scored votes, instead of scores and ratings
  std::filesystem::path ratings;  ///< Arena ratings in any form that storage::read_ratings knows
  std::string category;           ///< Arena category, where the ratings file holds several
  std::string date;               ///< leaderboard_publish_date, where it holds several
  std::map<std::string, std::string> aliases;  ///< policy name -> name in the ratings file
  std::filesystem::path output;                ///< mismatch.json
  results::TieRule ties =
      results::TieRule::kLoss;    ///< equal scores: loss as in the original, or half a win
  std::int64_t min_prompts = 30;  ///< minimum number of common prompts of a pair
  bool strict = false;            ///< prompts missing on one side are an error
  std::int64_t max_bad_rows = 0;  ///< unusable rows tolerated per file
  storage::ColumnNames columns;   ///< of the scores files, where they have other names
  std::int64_t bootstrap = 1000;  ///< bootstrap replicates for the intervals; 0: none
  std::uint64_t seed = 0;         ///< of the bootstrap and the split; same seed, same bytes
  double holdout = 0.0;  ///< measure on this share of the prompts only: those that calibrate with
                         ///< the same share and seed holds out; 0: on all
  std::string prompts;   ///< which prompts these are ("held out of calibration"); a note in the
                         ///< result; empty: none
  std::size_t num_threads = 0;  ///< 0: all processors; the result does not depend on it
};

/// The options that a recipe section accepts.
void describe_settings(OptionTable& table, MeasureOptions& options);

/// All options of `charm measure`.
void describe_command(OptionTable& table, MeasureOptions& options);

/// Reads scores and ratings, or votes (whose win rates are then the targets), measures every
/// ordered pair of policies, writes `output` and its manifest.
results::Mismatch measure(const MeasureOptions& options, const ProgressFn& progress = {});

/// The same from votes. Called by `measure` for options with votes.
results::Mismatch measure_votes(const MeasureOptions& options);

/// Writes `output` and its manifest.
void write_mismatch(const results::Mismatch& mismatch, const MeasureOptions& options,
                    std::span<const storage::InputFile> files, storage::Manifest& manifest);

}  // namespace charm::measure
