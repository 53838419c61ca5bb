#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "charm/base/fs.h"
#include "charm/base/progress.h"
#include "charm/explain/explanation.h"
#include "charm/explain/method_comparison.h"
#include "charm/storage/read_options.h"

namespace charm {
class OptionTable;
}

namespace charm::explain {

enum class ExplainPairs {
  kReference,  ///< every policy against the reference, as in calibration
  kAll,        ///< every pair of policies
};

struct ExplainOptions {
  std::vector<fs::path> scores;  ///< scores files with their responses, one or more policies each
  std::optional<fs::path> calibration;  ///< of charm calibrate: reference, offsets, ratings, split
  std::optional<fs::path> ratings;      ///< instead of the calibration's own
  std::string category;                 ///< of an Arena catalogue
  std::string date;                     ///< leaderboard_publish_date of the ratings
  std::map<std::string, std::string> aliases;  ///< policy name -> name in the ratings file
  std::string reference;  ///< without a calibration: the policy the others are compared with
  ExplainPairs pairs = ExplainPairs::kReference;
  std::vector<fs::path>
      held_out_scores;  ///< scores of held-out prompts, for the evaluation of methods
  std::vector<fs::path> reward_bench;  ///< saved scores of RewardBench, for the methods
  std::vector<fs::path> rm_bench;      ///< saved scores of RM-Bench, for the methods
  fs::path output;                     ///< explain.json
  ExplainSettings settings;
  std::int64_t min_prompts = 30;
  std::int64_t max_bad_rows = 0;
  storage::ColumnNames columns;  ///< of the scores files, where they have other names
};

/// The options that a recipe section accepts.
void describe_settings(OptionTable& table, ExplainOptions& options);

/// All options of `charm explain`.
void describe_command(OptionTable& table, ExplainOptions& options);

using results::Explanation;

/// Reads scores with their texts, attributes score differences to surface features, compares
/// post-hoc corrections, writes `output` and its manifest.
Explanation explain(const ExplainOptions& options, const ProgressFn& progress = {});

/// Plain text: contributions per pair, then the table of methods.
std::string explanation_text(const Explanation& explanation);

}  // namespace charm::explain
