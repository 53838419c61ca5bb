#include "charm/evaluate/compare_stage.h"
#include "charm/evaluate/evaluate_stage.h"
#include "charm/evaluate/scored_rows.h"
#include "charm/storage/read_options.h"

// Evaluations and comparisons share options; both structs have the same names for those fields.
namespace charm::evaluate {
namespace {

template <typename Options>
void describe_ratings(OptionTable& table, Options& options) {
  table
      .path("ratings", options.ratings, "FILE",
            "arena: Arena ratings of the policies; best-of-n: for "
            "the shares that ratings imply.")
      .text("category", options.ratings_category, "NAME", "arena: category of an Arena catalogue.")
      .text("date", options.ratings_date, "DATE",
            "arena: date of publication of the ratings (leaderboard_publish_date), of several.")
      .pairs("alias", options.aliases, "POLICY=NAME",
             "arena: name of a policy in the ratings file, if it differs.");
}

template <typename Options>
void describe_seed(OptionTable& table, Options& options) {
  table.integer("seed", options.seed, "S", "Seed of row sampling and of the bootstrap.");
}

template <typename Options>
void describe_counting(OptionTable& table, Options& options) {
  table
      .integer("bootstrap", options.bootstrap, "N",
               "Bootstrap replicates for the 95 % intervals; 0: no intervals.")
      .at_least(0)
      .integer("max-bad-rows", options.max_bad_rows, "N",
               "Unusable rows, and rows without a score, tolerated before the command fails.")
      .at_least(0);
}

}  // namespace

void describe_scoring(OptionTable& table, EvaluateOptions& options) {
  table
      .integer("limit-per-subset", options.limit_per_subset, "N",
               "Maximum rows per subset (RM-Bench: domain), sampled with --seed; 0: all. Fewer "
               "rows give wider intervals.")
      .at_least(0);
  describe_seed(table, options);
  engine::describe_model(table, options.model);
  text::describe_encoder(table, options.encoder);
  score::describe_scorer(table, options.scorer);
}

void describe_settings(OptionTable& table, EvaluateOptions& options) {
  describe_scoring(table, options);
  describe_counting(table, options);
  table.negative_flag(
      "no-reward-bench-files", options.reward_bench_files,
      "Do not write eval-set/ and eval-set-scores/, RewardBench's own result files, "
      "beside the result.");
}

void describe_command(OptionTable& table, EvaluateOptions& options) {
  table.path("model", options.model_dir, "DIR", "Reward model to score with; requires --data.")
      .paths("data", options.data, "FILE", "Benchmark files (arena: files of responses).")
      .paths(
          "scores", options.scores, "FILE",
          "Scores saved by an earlier evaluation, or a model's published scores of RewardBench or "
          "RewardBench 2 (eval-set-scores/<org>/<name>.json), instead of --model and --data; "
          "arena: files of charm score.")
      .path(
          "output", options.output, "FILE",
          "Result JSON to write; required, except with --compare. A name in .csv gets its table, - "
          "is standard output.")
      .path("save-scores", options.save_scores, "FILE",
            "File for the scored rows (.parquet or .jsonl); by default beside the output.")
      .text("model-name", options.model_name, "NAME",
            "Model name in the results; by default the folder's name.")
      .path("calibration", options.calibration, "FILE",
            "votes, best-of-n: calibration.json whose offsets (of a calibration from votes also "
            "temperature and style weights) are evaluated beside the scores as they are.")
      .paths("scores-after", options.scores_after, "FILE",
             "best-of-n: scores of the same responses under the corrected reward model, instead of "
             "--calibration.")
      .number(
          "holdout", options.holdout, "X",
          "votes: only this share of the prompts, the one that charm calibrate --votes --holdout "
          "X with the same --seed has held out; 0: all votes.")
      .within(0, 1);
  describe_ratings(table, options);
  storage::describe_columns(table, options.columns);
  describe_settings(table, options);
}

void describe_runs(OptionTable& table, CompareOptions& options) {
  table
      .paths(
          "compare", options.runs, "RUN",
          "Two runs, A and B: result JSONs, files of saved scores or scored votes, or for arena "
          "and best-of-n folders of score files. Votes are predicted and responses picked by the "
          "scores as they are, without offsets. Applicable options: --output, --bootstrap, "
          "--seed, --max-bad-rows, and for arena --ratings, --category, --date, --alias and "
          "--left-out.")
      .recorded_as_option({"compare"})
      .texts("left-out", options.held_out_policies, "POLICY",
             "With --compare of arena runs: held-out policies, which were not calibrated; their "
             "mean |MD| is reported separately.");
}

void describe_command(OptionTable& table, CompareOptions& options) {
  describe_runs(table, options);
  describe_ratings(table, options);
  describe_seed(table, options);
  describe_counting(table, options);
}

}  // namespace charm::evaluate
