#include <fmt/format.h>

#include "charm/cli/command.h"
#include "charm/dist/world.h"
#include "charm/pipeline/stage_options.h"

namespace charm::cli {
namespace {

class ScoreCommand final : public Command {
 public:
  std::string_view name() const override { return "score"; }
  std::string_view summary() const override { return "scores of a reward model for responses"; }
  std::string_view details() const override {
    return "Scores responses with a reward model: the raw head output, float32. Responses to one prompt share its computation, so give "
           "all policies' files at once. Writes one Parquet file per policy; an interrupted run continues.\n"
           "\n"
           "  charm score --model rm/ --responses responses/*.parquet --output scores/rm\n"
           "\n"
           "Several processes share the work when mpirun, torchrun --no-python or srun starts them; the files are the same bytes:\n"
           "\n"
           "  mpirun -n 4 charm score --model rm/ --responses responses/*.parquet --output scores/rm";
  }
  void describe(pipeline::OptionTable& table) override {
    table.path("model", options_.model_dir, "DIR", "Hugging Face folder of the reward model.")
        .required()
        .paths("responses", options_.responses, "FILE",
               "Files of responses; the policy comes from a column (policy, generator, model) or from the file's name.")
        .required()
        .path("output", options_.output, "DIR", "Folder that receives one <policy>.parquet each.")
        .required();
    pipeline::describe_score(table, options_);
  }
  bool runs_as_several() const override { return true; }
  void run(const CommonOptions& common, const ProgressFn& progress) override {
    const dist::Launch launch = dist::read_launch();
    options_.model.threads = common.threads > 0 ? common.threads : dist::threads_per_process(launch);
    options_.fresh = common.fresh;
    dist::World world = dist::World::join(launch);
    const score::ScoreStageResult result = score::score_stage(options_, world.is_root() ? progress : ProgressFn(), world);
    if (common.quiet || !world.is_root()) return;
    if (result.skipped) fmt::print("everything was there already; --fresh scores again\n");
    fmt::print("{}: {} rows of {} policies ({} without a score, {} cut to the length limit)\n", options_.output.string(),
               result.num_rows, result.files.size(), result.num_errors, result.num_truncated);
  }

 private:
  score::ScoreStageOptions options_;
};

}  // namespace

std::unique_ptr<Command> make_score_command() { return std::make_unique<ScoreCommand>(); }

}  // namespace charm::cli
