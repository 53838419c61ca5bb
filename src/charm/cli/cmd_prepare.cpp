#include <fmt/format.h>

#include "charm/base/option_table.h"
#include "charm/cli/command.h"
#include "charm/pipeline/sources.h"
#include "charm/prepare/prepare.h"

namespace charm::cli {
namespace {

class PrepareCommand final : public Command {
 public:
  std::string_view name() const override { return "prepare"; }
  std::string_view summary() const override {
    return "prompts of any data set, as prompts.parquet";
  }
  std::string_view details() const override {
    return "Reads the prompts of a data set (JSONL, JSON, Parquet, a Hugging Face save_to_disk "
           "folder; gzipped or not) and writes them with their ids.\n"
           "\n"
           "  charm prepare --input data.jsonl --output prompts.parquet --limit 500 --seed 0 "
           "--dedupe\n"
           "  charm prepare --input hub:hendrydong/preference_700K --split train --output "
           "prompts.parquet --limit 20000 --seed 0 --near-duplicates 0.8 --min-chars 10 "
           "--max-chars 4000 --exclude reward-bench.jsonl rm-bench.json";
  }
  void describe(OptionTable& table) override { prepare::describe_command(table, options_); }
  void run(const CommonOptions& common, const ProgressFn& progress) override {
    pipeline::fetch_dataset_source(options_.input, options_.read.split, common.offline, progress);
    const prepare::PrepareResult result = prepare::prepare(options_, progress);
    if (common.quiet) return;
    fmt::print("{}: {} of {} prompts ({} duplicates dropped)\n", options_.output.string(),
               result.num_written, result.num_read,
               result.num_duplicates + result.num_near_duplicates);
    if (result.num_too_short + result.num_too_long > 0) {
      fmt::print("{} too short, {} too long\n", result.num_too_short, result.num_too_long);
    }
    if (!options_.exclude.empty()) {
      fmt::print("{} benchmark prompts excluded, listed in {}\n", result.num_excluded,
                 prepare::excluded_path(options_.output).string());
    }
  }

 private:
  prepare::PrepareOptions options_;
};

}  // namespace

std::unique_ptr<Command> make_prepare_command() { return std::make_unique<PrepareCommand>(); }

}  // namespace charm::cli
