#include <fmt/format.h>

#include "charm/base/option_table.h"
#include "charm/cli/command.h"
#include "charm/explain/explain_stage.h"
#include "charm/pipeline/sources.h"
#include "charm/stats/paired_scores.h"

namespace charm::cli {
namespace {

class ExplainCommand final : public Command {
 public:
  std::string_view name() const override { return "explain"; }
  std::string_view summary() const override {
    return "contributions of length and style to score gaps and mismatch";
  }
  std::string_view details() const override {
    return "Regresses same-prompt score differences of two policies on differences of surface "
           "features of their responses (length, headers, lists, bold, code blocks, exclamation "
           "marks, refusals, opening phrases), with standard errors clustered by prompt: the part "
           "of the score gap explained by each feature, and the unexplained part. With ratings, "
           "also the mismatch degree on prompts weighted to balance length, and length and style, "
           "of both policies' responses. With a calibration, also a comparison of post-hoc "
           "corrections: none, offsets, LOWESS on length, linear length and style, and the latter "
           "plus offsets.\n"
           "\n"
           "  charm explain --scores scores/rm/*.parquet --calibration calibration.json --output "
           "explain.json";
  }
  void describe(OptionTable& table) override { explain::describe_command(table, options_); }
  void run(const CommonOptions& common, const ProgressFn& progress) override {
    options_.settings.num_threads = static_cast<std::size_t>(common.threads);
    if (options_.ratings)
      pipeline::fetch_dataset_source(*options_.ratings, std::nullopt, common.offline, progress);
    const explain::Explanation result = explain::explain(options_, progress);
    if (common.quiet) return;
    std::vector<std::int64_t> num_common;
    num_common.reserve(result.pairs.size());
    for (const explain::PairExplanation& pair : result.pairs)
      num_common.push_back(pair.num_prompts);
    fmt::print("{}: {} pairs, {}\n{}", options_.output.string(), result.pairs.size(),
               stats::common_prompts_text(num_common, result.num_prompts),
               explain::explanation_text(result));
  }

 private:
  explain::ExplainOptions options_;
};

}  // namespace

std::unique_ptr<Command> make_explain_command() { return std::make_unique<ExplainCommand>(); }

}  // namespace charm::cli
