#include <fmt/format.h>

#include "charm/base/option_table.h"
#include "charm/cli/command.h"
#include "charm/prefer/prefer.h"

namespace charm::cli {
namespace {

class PreferCommand final : public Command {
 public:
  std::string_view name() const override { return "prefer"; }
  std::string_view summary() const override { return "preference pairs from calibrated scores"; }
  std::string_view details() const override {
    return "Adds each policy's offset to its scores and writes chosen and rejected conversations "
           "for each prompt, in the format that TRL and OpenRLHF read.\n"
           "\n"
           "  charm prefer --scores scores/rm/*.parquet --calibration calibration.json --output "
           "preferences.parquet\n"
           "  charm prefer --best-of-n --rejected random --scores sampled.parquet --calibration "
           "calibration.json --output pairs.jsonl";
  }
  void describe(OptionTable& table) override { prefer::describe_command(table, options_); }
  void run(const CommonOptions& common, const ProgressFn& progress) override {
    const prefer::PreferResult result = prefer::prefer(options_, progress);
    if (common.quiet) return;
    fmt::print(
        "{}: {} pairs from {} prompts ({} ties, {} below the margin, {} of equal texts, {} rows "
        "without a score)\n",
        options_.output.string(), result.num_pairs, result.counts.num_prompts,
        result.counts.num_ties, result.counts.num_below_margin, result.num_equal_texts,
        result.num_errors);
    if (result.num_held_out > 0)
      fmt::print("{} prompts that the calibration held out are left out\n", result.num_held_out);
  }

 private:
  prefer::PreferOptions options_;
};

}  // namespace

std::unique_ptr<Command> make_prefer_command() { return std::make_unique<PreferCommand>(); }

}  // namespace charm::cli
