#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "charm/base/progress.h"
#include "charm/rate/ratings.h"
#include "charm/storage/read_options.h"

namespace charm {
class OptionTable;
}

namespace charm::rate {

struct RateOptions {
  std::vector<std::filesystem::path> battles;  ///< rows of model_a, model_b, winner
  std::filesystem::path output;                ///< ratings.json
  std::map<std::string, std::string> anchor;   ///< one model and its rating; empty: mean 1000
  StyleControl style = StyleControl::kNone;
  stats::TieModel ties = stats::TieModel::kHalf;
  bool order_effect = false;       ///< a constant for the model that is shown first (model_a)
  std::optional<double> prior_sd;  ///< Elo points: a normal prior of ratings around their mean,
                                   ///< for models with few battles; empty: none
  std::int64_t min_battles = 0;    ///< models with fewer are dropped with their battles
  std::int64_t bootstrap = 0;      ///< resamples; 0: sandwich intervals
  std::uint64_t seed = 0;
  std::size_t num_threads = 0;
  bool keep_named = false;       ///< also votes on models whose names the voter saw
  bool keep_duplicates = false;  ///< also votes that the Arena's de-duplication leaves out
  std::string category_tag;      ///< only rows with this tag, see storage::BattleOptions
  std::string baseline;          ///< of arena-hard's verdicts that do not name it
  storage::ReadOptions read;
};

/// The options that a recipe section accepts.
void describe_settings(OptionTable& table, RateOptions& options);

/// All options of `charm rate`.
void describe_command(OptionTable& table, RateOptions& options);

/// Reads battles, fits ratings, writes `output` (a list that every command reads as ratings) and
/// its manifest, which also holds the style coefficients.
Ratings rate(const RateOptions& options, const ProgressFn& progress = {});

}  // namespace charm::rate
