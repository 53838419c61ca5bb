#include <fmt/format.h>

#include "charm/base/error.h"
#include "charm/cli/command.h"
#include "charm/dist/world.h"
#include "charm/pipeline/sources.h"
#include "charm/pipeline/stage_options.h"

namespace charm::cli {
namespace {

class ScoreCommand final : public Command {
 public:
  std::string_view name() const override { return "score"; }
  std::string_view summary() const override { return "scores of a reward model for responses"; }
  std::string_view details() const override {
    return "Scores responses with a reward model: the raw head output, float32. Responses to one "
           "prompt share its computation, so give all policies' files at once. Writes one Parquet "
           "file per policy; an interrupted run continues. Each file carries hashes of the model, "
           "tokenizer and template it comes from; an output folder or journal of another model is "
           "refused.\n"
           "\n"
           "  charm score --model rm/ --responses responses/*.parquet --output scores/rm\n"
           "\n"
           "Several processes share the work when mpirun, torchrun --no-python or srun starts "
           "them; the files are the same bytes:\n"
           "\n"
           "  mpirun -n 4 charm score --model rm/ --responses responses/*.parquet --output "
           "scores/rm\n"
           "\n"
           "To see whether another program's scores are the same, give them with --check: the "
           "worst rows, rank agreement and a verdict are printed, and the exit code is 3 when a "
           "row lies beyond the tolerance.\n"
           "\n"
           "  charm score --model rm/ --responses gpt4.jsonl --output scores/rm --dtype float32 "
           "--check theirs.jsonl";
  }
  void describe(pipeline::OptionTable& table) override {
    table
        .path("model", options_.model_dir, "DIR",
              "Hugging Face folder of the reward model, hub:OWNER/NAME, or rm_config.json:NAME for "
              "one of the original project's list.")
        .required()
        .paths("responses", options_.responses, "FILE",
               "Files of responses; the policy comes from a column (policy, generator, model) or "
               "from the file's name.")
        .required()
        .path("output", options_.output, "DIR", "Folder that receives one <policy>.parquet each.")
        .required();
    pipeline::describe_score(table, options_);
    table
        .paths("check", options_.check, "FILE",
               "Scores made elsewhere (column score) to compare with. Rows meet by policy, "
               "prompt_id and sample; where there is one policy, by prompt_id; by position where "
               "the file has neither prompt_id nor prompt.")
        .number("tolerance", options_.check_tolerance, "X",
                "With --check, the largest allowed difference as a share of max(1, |score there|). "
                "By default 1e-4 where float32 is computed and 0.1 for bfloat16.")
        .paths("resume", options_.resume, "FILE",
               "Scores files of earlier runs with the same model and settings: rows with equal "
               "texts are taken over instead of being scored again. A file of another model, "
               "template, dtype or version is refused.");
  }
  bool runs_as_several() const override { return true; }
  void run(const CommonOptions& common, const ProgressFn& progress) override {
    const dist::Launch launch = dist::read_launch();
    options_.model.threads =
        common.threads > 0 ? common.threads : dist::threads_per_process(launch);
    options_.fresh = common.fresh;
    if (options_.check_tolerance && options_.check.empty())
      throw Error(ErrorKind::kUsage, "--tolerance needs --check");
    if (options_.check_tolerance && !(*options_.check_tolerance > 0.0)) {
      throw Error(ErrorKind::kUsage, "--tolerance must be positive, found {}",
                  *options_.check_tolerance);
    }
    pipeline::fetch_model_source(options_.model_dir, common.offline, progress);
    for (fs::path& responses : options_.responses)
      pipeline::fetch_dataset_source(responses, std::nullopt, common.offline, progress);
    dist::World world = dist::World::join(launch);
    const score::ScoreStageResult result =
        score::score_stage(options_, world.is_root() ? progress : ProgressFn(), world);
    if (!world.is_root()) return;
    if (common.quiet) return require_equal(result);
    if (result.skipped) fmt::print("everything was there already; --fresh scores again\n");
    fmt::print("{}: {} rows of {} policies ({} without a score, {} cut to the length limit)\n",
               options_.output.string(), result.num_rows, result.files.size(), result.num_errors,
               result.num_truncated);
    if (result.num_resumed > 0)
      fmt::print("{} rows taken over with --resume\n", result.num_resumed);
    report_check(result);
  }

 private:
  void report_check(const score::ScoreStageResult& result) const {
    if (!result.check) return;
    fmt::print("{}", score::check_text(*result.check));
    require_equal(result);
  }
  void require_equal(const score::ScoreStageResult& result) const {
    if (!result.check || result.check->passed()) return;
    throw Error(ErrorKind::kInput,
                "--check {}: {} of {} scores differ by more than {:g} of max(1, |score there|)",
                options_.check.front().string(), result.check->num_beyond,
                result.check->num_compared, result.check->tolerance);
  }

  score::ScoreStageOptions options_;
};

}  // namespace

std::unique_ptr<Command> make_score_command() { return std::make_unique<ScoreCommand>(); }

}  // namespace charm::cli
