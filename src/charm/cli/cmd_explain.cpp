#include <fmt/format.h>

#include "charm/cli/command.h"
#include "charm/pipeline/stage_options.h"

namespace charm::cli {
namespace {

class ExplainCommand final : public Command {
 public:
  std::string_view name() const override { return "explain"; }
  std::string_view summary() const override {
    return "what a policy's score gap owes to length and style";
  }
  std::string_view details() const override {
    return "Regresses same-prompt score differences of two policies on differences of what their "
           "responses look like (length, headers, lists, bold, code blocks, exclamation marks, "
           "refusals, opening phrases), with intervals clustered by prompt: how much of the score "
           "gap each feature explains and what remains. With ratings also the mismatch degree on "
           "prompts weighted so that both policies' responses are alike in length, and in style. "
           "With a calibration, corrections that need no training side by side: none, offsets, "
           "LOWESS over length, linear length and style, and those with offsets.\n"
           "\n"
           "  charm explain --scores scores/rm/*.parquet --calibration calibration.json --output "
           "explain.json";
  }
  void describe(pipeline::OptionTable& table) override {
    table
        .paths("scores", options_.scores, "FILE",
               "Files of charm score, with their responses; one or more policies each.")
        .required()
        .path("calibration", options_.calibration, "FILE",
              "File of charm calibrate: reference, offsets, ratings, tie rule, and which prompts "
              "were held out of its fit.")
        .path("output", options_.output, "FILE", "explain.json to write.")
        .required()
        .path("ratings", options_.ratings, "FILE",
              "Arena ratings; with --calibration, instead of the ratings it was made with.");
    pipeline::describe_ratings(table, options_.category, options_.aliases);
    table
        .text("reference", options_.reference, "NAME",
              "Without --calibration: the policy that the others are compared with.")
        .paths("held-out-scores", options_.held_out_scores, "FILE",
               "Scores of prompts that the offsets were not fitted on, as files of their own; "
               "methods are checked there as well.")
        .paths("reward-bench", options_.reward_bench, "FILE",
               "Scores saved by charm evaluate --benchmark reward-bench, for the comparison of "
               "methods.")
        .paths("rm-bench", options_.rm_bench, "FILE", "The same of RM-Bench.");
    pipeline::describe_explain(table, options_);
  }
  void run(const CommonOptions& common, const ProgressFn& progress) override {
    options_.settings.num_threads = static_cast<std::size_t>(common.threads);
    const explain::Explanation result = explain::explain(options_, progress);
    if (common.quiet) return;
    fmt::print("{}: {} pairs, {} prompts\n{}", options_.output.string(), result.pairs.size(),
               result.num_prompts, explain::explanation_text(result));
  }

 private:
  explain::ExplainOptions options_;
};

}  // namespace

std::unique_ptr<Command> make_explain_command() { return std::make_unique<ExplainCommand>(); }

}  // namespace charm::cli
