#include <fmt/format.h>

#include <cstdio>

#include "charm/base/output_lock.h"
#include "charm/cli/command.h"
#include "charm/cli/progress_display.h"
#include "charm/demo/findings.h"
#include "charm/demo/world.h"
#include "charm/pipeline/recipe.h"
#include "charm/pipeline/runner.h"

namespace charm::cli {
namespace {

class DemoCommand final : public Command {
 public:
  std::string_view name() const override { return "demo"; }
  std::string_view summary() const override {
    return "the whole pipeline on a small synthetic data set";
  }
  std::string_view details() const override {
    return "Generates a small synthetic world with known ground truth, trains a tiny reward model "
           "on style-biased annotations, and runs the pipeline on it: scores, mismatch, "
           "calibration, preferences, training, evaluation, report. Takes one to two minutes on "
           "two cores and uses the same stages and file formats as real runs.\n"
           "\n"
           "  charm demo --output charm-demo";
  }
  void describe(OptionTable& table) override {
    options_.folder = "charm-demo";
    table
        .path("output", options_.folder, "DIR",
              "Folder for the synthetic data, the run directory and the report.")
        .integer("seed", options_.seed, "S", "Seed of the synthetic data.")
        .integer("prompts", options_.num_prompts, "N",
                 "Prompts of the four policies; 30 % of them are held out.")
        .at_least(200)
        .integer("annotations", options_.num_annotations, "N",
                 "Annotated pairs that the reward model is trained on.")
        .at_least(200);
  }
  void run(const CommonOptions& common, const ProgressFn& progress) override {
    // A model this small does not benefit from more threads, which block each other on a busy
    // machine.
    const int threads = common.threads > 0 ? common.threads : 1;
    options_.threads = threads;
    options_.fresh = common.fresh;
    const auto print_line = [&common](const std::string& line) {
      if (common.quiet) return;
      fmt::print("{}\n", line);
      std::fflush(stdout);
    };
    const OutputLock lock = OutputLock::of_folder(options_.folder);
    print_line("generating the synthetic world and training its reward model");
    const demo::World world = demo::make_world(options_, progress);
    const pipeline::Recipe recipe = pipeline::read_recipe(world.recipe);
    const std::vector<pipeline::Step> plan = pipeline::make_plan(recipe);
    const pipeline::StepFn show = step_lines(plan.size(), common.quiet, /*dry_run=*/false);
    const auto stages =
        pipeline::stage_names();  // the report runs last, after the findings it includes
    pipeline::RunOptions run{.from = "",
                             .until = std::string(stages[stages.size() - 2]),
                             .dry_run = false,
                             .fresh = common.fresh,
                             .threads = threads};
    pipeline::run_plan(plan, recipe.run_dir, run, show, progress);
    const demo::Findings findings = demo::find(world, threads);
    demo::write_findings(world, options_, findings);
    run.from = run.until = stages.back();
    pipeline::run_plan(plan, recipe.run_dir, run, show, progress);
    print_line(demo::findings_text(findings));
    print_line("report: " + (recipe.run_dir / "report.html").string());
  }

 private:
  demo::WorldOptions options_;
};

}  // namespace

std::unique_ptr<Command> make_demo_command() { return std::make_unique<DemoCommand>(); }

}  // namespace charm::cli
