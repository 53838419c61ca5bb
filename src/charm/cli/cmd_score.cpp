#include <fmt/format.h>

#include "charm/base/error.h"
#include "charm/base/launch.h"
#include "charm/base/log.h"
#include "charm/cli/command.h"
#include "charm/pipeline/sources.h"
#include "charm/score/score_stage.h"
#include "charm/score/shard_journals.h"

namespace charm::cli {
namespace {

class ScoreCommand final : public Command {
 public:
  std::string_view name() const override { return "score"; }
  std::string_view summary() const override { return "scores of responses under a reward model"; }
  std::string_view details() const override {
    return "Scores responses with a reward model and writes one Parquet file per policy. A score "
           "is the raw output of the reward head (unbounded, float32). Give all policies' files at "
           "once: responses to the same prompt share its prefill. An interrupted run resumes from "
           "its journal. Each file records hashes of model, tokenizer and chat template; an output "
           "folder or journal of another model is an error.\n"
           "\n"
           "  charm score --model rm/ --responses responses/*.parquet --output scores/rm\n"
           "\n"
           "Several processes share the work when each is given its shard, on one machine or on "
           "several with a shared file system; the output is that of one process. A shard that was "
           "interrupted continues when it is started again. mpirun, torchrun --no-python and srun "
           "tell each process its shard:\n"
           "\n"
           "  charm score --model rm/ --responses responses/*.parquet --output scores/rm --shard "
           "0/2 &\n"
           "  charm score --model rm/ --responses responses/*.parquet --output scores/rm --shard "
           "1/2\n"
           "  mpirun -n 4 charm score --model rm/ --responses responses/*.parquet --output "
           "scores/rm\n"
           "\n"
           "With --votes both responses of people's votes are scored; the result is for charm "
           "measure, calibrate and evaluate --benchmark votes:\n"
           "\n"
           "  charm score --model rm/ --votes mt_bench_human.jsonl --output votes.parquet\n"
           "\n"
           "To compare with another program's scores, give them by --check: it prints the largest "
           "differences, the rank correlation and a verdict; the exit code is 3 when a difference "
           "exceeds the tolerance.\n"
           "\n"
           "  charm score --model rm/ --responses gpt4.jsonl --output scores/rm --dtype float32 "
           "--check theirs.jsonl";
  }
  void describe(OptionTable& table) override { score::describe_command(table, options_); }
  bool supports_multi_process() const override { return true; }
  void run(const CommonOptions& common, const ProgressFn& progress) override {
    const Launch& launch = common.launch;
    options_.model.threads = common.threads > 0 ? common.threads : threads_per_process(launch);
    options_.fresh = common.fresh;
    check_options();
    take_shard_of(launch);
    fetch_sources(common, progress);
    const score::ScoreStageResult result =
        score::score_stage(options_, launch.rank == 0 ? progress : ProgressFn());
    if (common.quiet) return require_equal(result);
    if (!result.unfinished.empty()) return print_shard(result);
    if (result.skipped) fmt::print("output is complete already; --fresh scores again\n");
    if (!fs::is_directory(options_.output)) {  // of votes
      fmt::print("{}: {} votes ({} without scores, {} texts truncated)\n", options_.output.string(),
                 result.num_rows, result.num_errors, result.num_truncated);
      return;
    }
    fmt::print("{}: {} rows of {} policies ({} without a score, {} truncated)\n",
               options_.output.string(), result.num_rows, result.files.size(), result.num_errors,
               result.num_truncated);
    if (result.num_reused > 0) fmt::print("{}\n", score::reuse_text(result));
    report_check(result);
  }

 private:
  void check_options() const {
    if (options_.check_tolerance && options_.check.empty())
      throw Error(ErrorKind::kUsage, "--tolerance needs --check");
    if (options_.check_tolerance && !(*options_.check_tolerance > 0.0)) {
      throw Error(ErrorKind::kUsage, "--tolerance must be positive, found {}",
                  *options_.check_tolerance);
    }
    if (options_.merge && options_.shard)
      throw Error(ErrorKind::kUsage, "--merge joins all shards: it excludes --shard");
    if (options_.merge && options_.fresh)
      throw Error(ErrorKind::kUsage, "--merge scores nothing: it excludes --fresh");
    if (options_.merge) return;
    if (options_.model_dir.empty()) throw Error(ErrorKind::kUsage, "--model is required");
    if (options_.responses.empty() && options_.votes.empty())
      throw Error(ErrorKind::kUsage, "give --responses, or --votes");
  }

  /// Without --shard the launcher tells this process's shard.
  void take_shard_of(const Launch& launch) {
    if (launch.size == 1 || options_.shard) return;
    if (options_.merge) {
      throw Error(ErrorKind::kUsage, "--merge runs in a single process, but {} started {}",
                  launch.launcher, launch.size);
    }
    options_.shard = score::Shard{.index = launch.rank, .count = launch.size};
    log::info("{} started {} processes: this one is --shard {}", launch.launcher, launch.size,
              options_.shard->text());
  }

  void fetch_sources(const CommonOptions& common, const ProgressFn& progress) {
    if (!options_.model_dir.empty()) {
      pipeline::fetch_model_source(options_.model_dir, options_.model.source, common.offline,
                                   progress);
    }
    for (fs::path& votes : options_.votes)
      pipeline::fetch_dataset_source(votes, std::nullopt, common.offline, progress);
    for (fs::path& responses : options_.responses)
      pipeline::fetch_dataset_source(responses, std::nullopt, common.offline, progress);
  }

  void print_shard(const score::ScoreStageResult& result) const {
    fmt::print("{}: {} rows of shard {} ({} without a score, {} truncated); not complete: {}\n",
               options_.output.string(), result.num_rows, options_.shard->text(), result.num_errors,
               result.num_truncated, score::shards_text(result.unfinished));
    if (result.num_reused > 0) fmt::print("{}\n", score::reuse_text(result));
  }
  void report_check(const score::ScoreStageResult& result) const {
    if (!result.check) return;
    fmt::print("{}", score::check_text(*result.check));
    require_equal(result);
  }
  void require_equal(const score::ScoreStageResult& result) const {
    if (!result.check || result.check->passed()) return;
    throw Error(ErrorKind::kInput,
                "--check {}: {} of {} scores differ by more than {:g} relative to max(1, "
                "|reference score|)",
                options_.check.front().string(), result.check->num_beyond,
                result.check->num_compared, result.check->tolerance);
  }

  score::ScoreStageOptions options_;
};

}  // namespace

std::unique_ptr<Command> make_score_command() { return std::make_unique<ScoreCommand>(); }

}  // namespace charm::cli
