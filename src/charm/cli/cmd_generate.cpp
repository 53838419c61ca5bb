#include <fmt/format.h>

#include "charm/base/option_table.h"
#include "charm/cli/command.h"
#include "charm/generate/generate_stage.h"
#include "charm/pipeline/sources.h"

namespace charm::cli {
namespace {

class GenerateCommand final : public Command {
 public:
  std::string_view name() const override { return "generate"; }
  std::string_view summary() const override { return "responses of a policy to prompts"; }
  std::string_view details() const override {
    return "Generates a policy's responses to prompts: with a causal language model on this "
           "machine, or through inference servers with an OpenAI-compatible API (vLLM, SGLang, "
           "TGI, llama.cpp, hosted ones). Writes the responses in the order of the prompts with "
           "finish_reason (length: truncated at --max-new-tokens or the model's last position), "
           "token counts and sampling "
           "settings. An interrupted run resumes from its journal; no response is requested "
           "twice.\n"
           "\n"
           "  charm generate --prompts prompts.parquet --policy smollm2 --model smollm2/ --output "
           "responses/smollm2.parquet\n"
           "  charm generate --prompts prompts.parquet --policy qwen-72b --server "
           "http://node1:8000 http://node2:8000 --server-model Qwen/Qwen2.5-72B-Instruct --output "
           "responses/qwen-72b.parquet\n"
           "\n"
           "docs/generate.md shows whole runs.";
  }
  void describe(OptionTable& table) override { generate::describe_command(table, options_); }
  void run(const CommonOptions& common, const ProgressFn& progress) override {
    options_.fresh = common.fresh;
    options_.embedded.threads = common.threads;
    if (options_.model_dir)
      pipeline::fetch_model_source(*options_.model_dir, options_.embedded.source, common.offline,
                                   progress);
    pipeline::fetch_dataset_source(options_.prompts, options_.read.split, common.offline, progress);
    const generate::GenerateStageResult result = generate::generate_stage(options_, progress);
    if (common.quiet) return;
    if (result.skipped) fmt::print("output is complete already; --fresh generates again\n");
    fmt::print("{}: {} responses ({} failed, {} cut at {} tokens{})\n", options_.output.string(),
               result.num_rows, result.num_errors, result.num_length - result.num_early,
               options_.sampling.max_new_tokens, early_text(result));
    if (result.num_resumed > 0)
      fmt::print("{} of them resumed from an interrupted run\n", result.num_resumed);
  }

 private:
  /// Responses that ended before --max-new-tokens.
  std::string early_text(const generate::GenerateStageResult& result) const {
    if (result.num_early == 0) return "";
    if (!options_.model_dir) return fmt::format(", {} by the server before them", result.num_early);
    return fmt::format(", {} at the model's {} positions", result.num_early, result.early_tokens);
  }

  generate::GenerateStageOptions options_;
};

}  // namespace

std::unique_ptr<Command> make_generate_command() { return std::make_unique<GenerateCommand>(); }

}  // namespace charm::cli
