#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "charm/base/fs.h"
#include "charm/base/progress.h"
#include "charm/engine/reward_model.h"
#include "charm/evaluate/benchmark.h"
#include "charm/results/evaluation.h"
#include "charm/score/scorer.h"
#include "charm/storage/ratings.h"
#include "charm/storage/read_options.h"
#include "charm/text/conversation_encoder.h"

namespace charm {
class OptionTable;
}

namespace charm::evaluate {

struct EvaluateOptions {
  Benchmark benchmark = Benchmark::kRewardBench;
  fs::path model_dir;  ///< reward model to score with; empty: recompute from `scores`
  std::vector<fs::path>
      data;  ///< benchmark rows to score (arena: responses files); needs `model_dir`
  std::vector<fs::path> scores;  ///< saved scores of an earlier run (arena: files of `charm
                                 ///< score`); no model is loaded
  fs::path output;               ///< result JSON
  fs::path save_scores;          ///< scored rows (.parquet or .jsonl); empty: `<output without
                                 ///< .json>.scores.parquet`
  std::string model_name;  ///< name in the results; empty: the model folder's name, else the output
                           ///< folder's name
  std::int64_t limit_per_subset =
      0;  ///< maximum rows per subset (RM-Bench: domain), sampled with `seed`; 0: all
  std::uint64_t seed = 0;         ///< of row sampling and of the bootstrap
  std::int64_t bootstrap = 1000;  ///< bootstrap replicates; 0: no intervals
  std::int64_t max_bad_rows = 0;  ///< rows that may be unreadable or fail to score
  bool fresh = false;             ///< discard the journal of an interrupted run
  bool reward_bench_files =
      true;          ///< also write `eval-set/` and `eval-set-scores/` beside the result
  fs::path ratings;  ///< arena: ratings file
  std::string ratings_category;  ///< arena: category of an Arena catalogue that holds several
  std::string ratings_date;      ///< arena: leaderboard_publish_date, of several
  std::map<std::string, std::string> aliases;  ///< arena: policy name -> name in the ratings
  storage::ColumnNames columns;         ///< arena: of its responses or scores, where they differ
  std::optional<fs::path> calibration;  ///< votes, best-of-n: offsets to evaluate
  std::vector<fs::path> scores_after;   ///< best-of-n: scores of the corrected model, instead of a
                                        ///< calibration
  double holdout = 0.0;  ///< votes: evaluate only this share of the prompts, which `charm calibrate
                         ///< --votes` with the same share and seed has held out; 0: all
  engine::RewardModelOptions model;
  text::EncoderOptions encoder;
  score::ScorerOptions scorer;
};

/// The options that a recipe section accepts.
void describe_settings(OptionTable& table, EvaluateOptions& options);

/// All options of `charm evaluate` except --benchmark and `describe_runs`.
void describe_command(OptionTable& table, EvaluateOptions& options);

struct EvaluateResult {
  fs::path output;
  fs::path save_scores;           ///< empty when nothing was scored
  std::optional<double> overall;  ///< absent if a domain or section is missing, and for arena
  std::string summary;            ///< a short plain-text summary
  std::int64_t num_rows = 0;
  std::int64_t num_bad_rows = 0;
};

/// Warns of options of scoring that are given with saved scores, which were computed with options
/// of their own. For the command line: a recipe gives all benchmarks those of its reward model.
void warn_of_scoring_options(const EvaluateOptions& options);

/// Scores a benchmark (or takes saved scores), writes the result JSON, the scored rows, and a
/// manifest. An interrupted run resumes.
EvaluateResult evaluate(const EvaluateOptions& options, const ProgressFn& progress);

/// The model's name in results: given, or that of its folder, or of the output's.
std::string model_name(const EvaluateOptions& options);

/// Writes the result, with what says which run it was, and the manifest; logs its warnings.
/// @param data_sha256  of `options.data`, in their order
EvaluateResult write_result(const EvaluateOptions& options,
                            std::span<const std::string> data_sha256,
                            results::Evaluation evaluation, std::int64_t num_rows);

/// Elo points of these policies in the ratings of a file.
std::map<std::string, double> ratings_of(const std::set<std::string>& policies,
                                         std::span<const ArenaRating> ratings,
                                         const storage::Aliases& aliases, const fs::path& file);

/// Benchmarks that need no model.
EvaluateResult evaluate_votes(const EvaluateOptions& options);
EvaluateResult evaluate_best_of_n(const EvaluateOptions& options);

}  // namespace charm::evaluate
