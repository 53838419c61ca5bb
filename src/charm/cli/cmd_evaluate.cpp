#include <fmt/format.h>

#include <optional>
#include <vector>

#include "charm/base/error.h"
#include "charm/cli/command.h"
#include "charm/evaluate/compare_stage.h"
#include "charm/evaluate/evaluate_stage.h"
#include "charm/pipeline/sources.h"
#include "charm/pipeline/stage_options.h"

namespace charm::cli {
namespace {

class EvaluateCommand final : public Command {
 public:
  std::string_view name() const override { return "evaluate"; }
  std::string_view summary() const override {
    return "RewardBench 1 and 2, RM-Bench, correlation with Arena; comparison of two runs";
  }
  std::string_view details() const override {
    return "Scores a benchmark with a reward model, or uses saved scores, and computes the "
           "benchmark's metrics exactly as its own script does, with 95 % bootstrap intervals. "
           "Also reports the calibration of pair probabilities (ECE, Brier score, log-loss, "
           "margins) and the correlation of scores with length. arena correlates policies' scores "
           "with their ratings and reports mean |MD|. reward-bench also accepts the prior test "
           "sets (pref-test-sets) and then reports the leaderboard's average too.\n"
           "\n"
           "--compare A B compares two runs of one benchmark, without a model: differences B - A "
           "with paired intervals, rows that flip in each direction, McNemar's test. A and B are "
           "result JSONs, files of saved scores, or for arena folders of charm score.\n"
           "\n"
           "  charm evaluate --benchmark rm-bench --model rm/ --data total_dataset.json --output "
           "eval/rm/rm-bench.json\n"
           "  charm evaluate --benchmark reward-bench-2 --scores "
           "eval/rm/reward-bench-2.scores.parquet --output again.json\n"
           "  charm evaluate --benchmark arena --scores scores/rm/*.parquet --ratings ratings.json "
           "--output eval/rm/arena.json\n"
           "  charm evaluate --compare eval/rm/rm-bench.json eval/rm-new/rm-bench.json --output "
           "compare.json";
  }
  void describe(pipeline::OptionTable& table) override {
    pipeline::Option benchmark{.name = "benchmark",
                               .value_name = "reward-bench|reward-bench-2|rm-bench|arena"};
    benchmark.help = "Benchmark. Required, except with --compare, which infers it from the runs.";
    benchmark.assign = [this](const std::vector<std::string>& values) {
      benchmark_ = evaluate::parse_benchmark(values.front());
    };
    table.add(std::move(benchmark))
        .path("model", options_.model_dir, "DIR", "Reward model to score with; requires --data.")
        .paths("data", options_.data, "FILE", "Benchmark files (arena: files of responses).")
        .paths("scores", options_.scores, "FILE",
               "Scores saved by an earlier evaluation (arena: files of charm score), instead of "
               "--model and --data.")
        .paths("compare", compared_, "RUN",
               "Two runs, A and B: result JSONs, files of saved scores, or for arena folders of "
               "score files. Applicable options: --output, --bootstrap, --seed, --max-bad-rows, "
               "and for arena --ratings and --left-out.")
        .texts("left-out", held_out_policies_, "POLICY",
               "With --compare of arena runs: held-out policies, which were not calibrated; their "
               "mean |MD| is reported separately.")
        .path("output", options_.output, "FILE",
              "Result JSON to write; required, except with --compare.")
        .path("save-scores", options_.save_scores, "FILE",
              "File for the scored rows (.parquet or .jsonl); by default beside the output.")
        .text("model-name", options_.model_name, "NAME",
              "Model name in the results; by default the folder's name.")
        .path("ratings", options_.ratings, "FILE", "arena: Arena ratings of the policies.")
        .text("category", options_.ratings_category, "NAME",
              "arena: category of an Arena catalogue.")
        .pairs("alias", options_.aliases, "POLICY=NAME",
               "arena: name of a policy in the ratings file, if it differs.");
    pipeline::describe_evaluate(table, options_);
  }
  void run(const CommonOptions& common, const ProgressFn& progress) override {
    if (!compared_.empty()) {
      compare_runs(common);
      return;
    }
    if (!held_out_policies_.empty())
      throw Error(ErrorKind::kUsage, "--left-out requires --compare");
    if (!benchmark_) {
      throw Error(ErrorKind::kUsage,
                  "--benchmark is required: reward-bench, reward-bench-2, rm-bench or arena");
    }
    if (options_.output.empty())
      throw Error(ErrorKind::kUsage, "--output is required: the result JSON to write");
    options_.benchmark = *benchmark_;
    options_.model.threads = common.threads;
    options_.fresh = common.fresh;
    pipeline::fetch_model_source(options_.model_dir, common.offline, progress);
    const evaluate::EvaluateResult result = evaluate::evaluate(options_, progress);
    if (common.quiet) return;
    fmt::print("{}: {} rows\n{}", result.output.string(), result.num_rows, result.summary);
    if (!result.summary.empty() && result.summary.back() != '\n') fmt::print("\n");
  }

 private:
  void compare_runs(const CommonOptions& common) const {
    if (!options_.model_dir.empty() || !options_.data.empty() || !options_.scores.empty() ||
        options_.limit_per_subset > 0) {
      throw Error(ErrorKind::kUsage,
                  "--compare excludes --model, --data, --scores and --limit-per-subset");
    }
    const evaluate::CompareResult result =
        evaluate::compare({.runs = compared_,
                           .benchmark = benchmark_,
                           .output = options_.output,
                           .bootstrap = options_.bootstrap,
                           .seed = options_.seed,
                           .max_bad_rows = options_.max_bad_rows,
                           .ratings = options_.ratings,
                           .ratings_category = options_.ratings_category,
                           .aliases = options_.aliases,
                           .held_out_policies = held_out_policies_});
    if (!common.quiet) fmt::print("{}", result.summary);
  }

  evaluate::EvaluateOptions options_;
  std::optional<evaluate::Benchmark> benchmark_;
  std::vector<fs::path> compared_;
  std::vector<std::string> held_out_policies_;
};

}  // namespace

std::unique_ptr<Command> make_evaluate_command() { return std::make_unique<EvaluateCommand>(); }

}  // namespace charm::cli
