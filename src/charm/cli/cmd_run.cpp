#include <fmt/format.h>

#include "charm/base/log.h"
#include "charm/cli/command.h"
#include "charm/cli/progress_display.h"
#include "charm/pipeline/check.h"
#include "charm/pipeline/recipe.h"
#include "charm/pipeline/runner.h"
#include "charm/pipeline/sources.h"

namespace charm::cli {
namespace {

class RunCommand final : public Command {
 public:
  std::string_view name() const override { return "run"; }
  std::string_view summary() const override { return "all stages of a recipe, in order"; }
  std::string_view details() const override {
    return "Runs a YAML recipe: responses, scores, mismatch, calibration, preferences, training, "
           "scores and mismatch of the fine-tuned models, evaluation, report. The keys of its "
           "sections are the options of the commands, whose names they have. Finished steps whose "
           "settings and inputs are "
           "unchanged are kept; an interrupted run resumes when started again. Paths are relative "
           "to the recipe. It begins with the checks of charm check; the keys of a recipe are in "
           "docs/recipes.md (charm --help-recipe).\n"
           "\n"
           "Stages: prompts, responses, score, measure, calibrate, prefer, train, rescore, "
           "remeasure, evaluate, explain, report.\n"
           "\n"
           "  charm run recipe.yaml --until calibrate";
  }
  void describe(OptionTable& table) override {
    table.path("recipe", recipe_, "RECIPE", "The YAML file.")
        .required()
        .positional()
        .text("from", options_.from, "STAGE",
              "First stage to run; outputs of earlier stages are used as they are.")
        .text("until", options_.until, "STAGE", "Last stage to run.")
        .flag("dry-run", options_.dry_run, "List the steps without running them.");
  }
  void run(const CommonOptions& common, const ProgressFn& progress) override {
    options_.fresh = common.fresh;
    options_.threads = common.threads;
    pipeline::Recipe recipe = read_checked(common, progress);
    const std::vector<pipeline::Step> plan = pipeline::make_plan(recipe);
    const pipeline::StepFn show = step_lines(plan.size(), common.quiet, options_.dry_run);
    const pipeline::RunSummary summary =
        pipeline::run_plan(plan, recipe.run_dir, options_, show, progress);
    if (common.quiet) return;
    fmt::print("{} steps {}, {} kept; run directory {}\n", summary.num_run,
               options_.dry_run ? "to do" : "done", summary.num_kept, recipe.run_dir.string());
  }

 private:
  /// Hours of work should not end on what is known before.
  pipeline::Recipe read_checked(const CommonOptions& common, const ProgressFn& progress) const {
    pipeline::Problems problems;
    pipeline::Recipe recipe = pipeline::read_recipe(recipe_, problems);
    if (problems.empty() && !options_.dry_run)
      pipeline::fetch_recipe_sources(recipe, common.offline, progress);
    const pipeline::RecipeCheck check =
        pipeline::check_recipe(recipe, std::move(problems), common.threads);
    const std::vector<Error>& errors = check.problems.errors();
    if (errors.size() > 1) {
      for (const Error& error : errors) log::write(log::Level::kError, error.message());
    }
    check.problems.throw_all(recipe_);
    if (!common.quiet) fmt::print("{}", check_text(recipe, check));
    return recipe;
  }

  fs::path recipe_;
  pipeline::RunOptions options_;
};

}  // namespace

std::unique_ptr<Command> make_run_command() { return std::make_unique<RunCommand>(); }

}  // namespace charm::cli
