#include <fmt/format.h>
#include <fmt/ranges.h>

#include <optional>

#include "charm/base/error.h"
#include "charm/base/option_table.h"
#include "charm/cli/command.h"
#include "charm/evaluate/compare_stage.h"
#include "charm/evaluate/evaluate_stage.h"
#include "charm/pipeline/sources.h"

namespace charm::cli {
namespace {

class EvaluateCommand final : public Command {
 public:
  std::string_view name() const override { return "evaluate"; }
  std::string_view summary() const override {
    return "RewardBench 1 and 2, RM-Bench, JudgeBench, RMB, PPE, Arena, votes; audit of best-of-n";
  }
  std::string_view details() const override {
    return "Scores a benchmark with a reward model, or uses saved scores, and computes the "
           "benchmark's metrics exactly as its own script does, with 95 % bootstrap intervals. "
           "Also reports the calibration of pair probabilities (ECE, Brier score, log-loss, "
           "margins) and the correlation of scores with length. arena correlates policies' scores "
           "with their ratings and reports mean |MD|. reward-bench also accepts the prior test "
           "sets (pref-test-sets) and then reports the leaderboard's average too.\n"
           "\n"
           "votes: how well the scores, and with --calibration the calibrated ones, predict "
           "people's "
           "votes (accuracy, log-loss, Brier score, ECE, paired difference). best-of-n: what the "
           "reward model picks of N responses before and after correction: share of each policy "
           "against what ratings imply, length, lists, headers, bold, refusals, agreement, and "
           "quality where rows have label or gold_score. Both take saved scores alone.\n"
           "\n"
           "--compare A B compares two runs of one benchmark, without a model: differences B - A "
           "with paired intervals, rows that flip in each direction, McNemar's test. A and B are "
           "result JSONs, files of saved scores, or for arena and best-of-n folders of charm "
           "score.\n"
           "\n"
           "  charm evaluate --benchmark rm-bench --model rm/ --data total_dataset.json --output "
           "eval/rm/rm-bench.json\n"
           "  charm evaluate --benchmark reward-bench-2 --scores "
           "eval/rm/reward-bench-2.scores.parquet --output again.json\n"
           "  charm evaluate --benchmark arena --scores scores/rm/*.parquet --ratings ratings.json "
           "--output eval/rm/arena.json\n"
           "  charm evaluate --benchmark votes --scores votes.parquet --calibration "
           "calibration.json "
           "--holdout 0.2 --output eval/rm/votes.json\n"
           "  charm evaluate --benchmark best-of-n --scores scores/rm/*.parquet --calibration "
           "calibration.json --output eval/rm/best-of-n.json\n"
           "  charm evaluate --compare eval/rm/rm-bench.json eval/rm-new/rm-bench.json --output "
           "compare.json";
  }
  void describe(OptionTable& table) override {
    Option benchmark{.name = "benchmark",
                     .value_name = fmt::format("{}", fmt::join(evaluate::benchmark_names(), "|"))};
    benchmark.help = "Benchmark. Required, except with --compare, which infers it from the runs.";
    benchmark.assign = [this](const std::vector<std::string>& values) {
      benchmark_ = evaluate::parse_benchmark(values.front());
    };
    benchmark.value = [this]() -> OptionValue {
      if (!benchmark_) return {};
      return std::string(evaluate::benchmark_name(*benchmark_));
    };
    table.add(std::move(benchmark));
    describe_command(table, options_);
    describe_runs(table, compared_);
  }
  void run(const CommonOptions& common, const ProgressFn& progress) override {
    pipeline::fetch_dataset_source(options_.ratings, std::nullopt, common.offline, progress);
    if (!compared_.runs.empty()) {
      compare_runs(common);
      return;
    }
    if (!compared_.held_out_policies.empty())
      throw Error(ErrorKind::kUsage, "--left-out requires --compare");
    if (!benchmark_) {
      throw Error(ErrorKind::kUsage, "--benchmark is required: {}",
                  fmt::join(evaluate::benchmark_names(), ", "));
    }
    options_.benchmark = *benchmark_;
    evaluate::warn_of_scoring_options(options_);
    options_.model.threads = common.threads;
    options_.fresh = common.fresh;
    pipeline::fetch_model_source(options_.model_dir, options_.model.source, common.offline,
                                 progress);
    const evaluate::EvaluateResult result = evaluate::evaluate(options_, progress);
    if (common.quiet) return;
    fmt::print("{}: {} rows\n{}", result.output.string(), result.num_rows, result.summary);
    if (!result.summary.empty() && result.summary.back() != '\n') fmt::print("\n");
  }

 private:
  void compare_runs(const CommonOptions& common) {
    if (!options_.model_dir.empty() || !options_.data.empty() || !options_.scores.empty() ||
        options_.limit_per_subset > 0) {
      throw Error(ErrorKind::kUsage,
                  "--compare excludes --model, --data, --scores and --limit-per-subset");
    }
    compared_.benchmark = benchmark_;
    compared_.output = options_.output;
    compared_.bootstrap = options_.bootstrap;
    compared_.seed = options_.seed;
    compared_.max_bad_rows = options_.max_bad_rows;
    compared_.ratings = options_.ratings;
    compared_.ratings_category = options_.ratings_category;
    compared_.ratings_date = options_.ratings_date;
    compared_.aliases = options_.aliases;
    const evaluate::CompareResult result = evaluate::compare(compared_);
    if (!common.quiet) fmt::print("{}", result.summary);
  }

  evaluate::EvaluateOptions options_;
  std::optional<evaluate::Benchmark> benchmark_;
  evaluate::CompareOptions compared_;
};

}  // namespace

std::unique_ptr<Command> make_evaluate_command() { return std::make_unique<EvaluateCommand>(); }

}  // namespace charm::cli
