#include <fmt/format.h>

#include "charm/cli/command.h"
#include "charm/pipeline/stage_options.h"

namespace charm::cli {
namespace {

class EvaluateCommand final : public Command {
 public:
  std::string_view name() const override { return "evaluate"; }
  std::string_view summary() const override { return "RewardBench 1 and 2, RM-Bench, correlation with Arena"; }
  std::string_view details() const override {
    return "Scores a benchmark with a reward model, or takes saved scores, and counts exactly as the benchmark's own script does; all "
           "results carry 95 % bootstrap intervals. arena correlates policies' scores with their ratings. reward-bench takes rows of the prior "
           "test sets (pref-test-sets) too and then also gives the leaderboard's average.\n"
           "\n"
           "  charm evaluate --benchmark rm-bench --model rm/ --data total_dataset.json --output eval/rm/rm-bench.json\n"
           "  charm evaluate --benchmark reward-bench-2 --scores eval/rm/reward-bench-2.scores.parquet --output again.json\n"
           "  charm evaluate --benchmark arena --scores scores/rm/*.parquet --ratings ratings.json --output eval/rm/arena.json";
  }
  void describe(pipeline::OptionTable& table) override {
    pipeline::Option benchmark{.name = "benchmark", .value_name = "reward-bench|reward-bench-2|rm-bench|arena"};
    benchmark.help = "What to evaluate.";
    benchmark.required = true;
    benchmark.assign = [this](const std::vector<std::string>& values) {
      options_.benchmark = evaluate::parse_benchmark(values.front());
    };
    table.add(std::move(benchmark))
        .path("model", options_.model_dir, "DIR", "Reward model to score with; together with --data.")
        .paths("data", options_.data, "FILE", "The benchmark's rows (arena: files of responses).")
        .paths("scores", options_.scores, "FILE",
               "Scores saved by an earlier evaluation (arena: files of charm score); no model is loaded then.")
        .path("output", options_.output, "FILE", "Result JSON to write.")
        .required()
        .path("save-scores", options_.save_scores, "FILE",
              "Where the scored rows go (.parquet or .jsonl); by default beside the output.")
        .text("model-name", options_.model_name, "NAME", "Name in the results; by default the model folder's.")
        .path("ratings", options_.ratings, "FILE", "arena: Arena ratings of the policies.")
        .text("category", options_.ratings_category, "NAME", "arena: category of an Arena catalogue.")
        .pairs("alias", options_.aliases, "POLICY=NAME", "arena: name under which a policy stands in the ratings.");
    pipeline::describe_evaluate(table, options_);
  }
  void run(const CommonOptions& common, const ProgressFn& progress) override {
    options_.model.threads = common.threads;
    options_.fresh = common.fresh;
    const evaluate::EvaluateResult result = evaluate::evaluate(options_, progress);
    if (common.quiet) return;
    fmt::print("{}: {} rows\n{}", result.output.string(), result.num_rows, result.summary);
    if (!result.summary.empty() && result.summary.back() != '\n') fmt::print("\n");
  }

 private:
  evaluate::EvaluateOptions options_;
};

}  // namespace

std::unique_ptr<Command> make_evaluate_command() { return std::make_unique<EvaluateCommand>(); }

}  // namespace charm::cli
