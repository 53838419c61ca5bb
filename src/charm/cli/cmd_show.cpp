#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "charm/base/option_table.h"
#include "charm/cli/command.h"
#include "charm/pipeline/sources.h"
#include "charm/show/show_stage.h"
#include "charm/show/show_text.h"

namespace charm::cli {
namespace {

/// Of stdout where it is a terminal, else a common width.
std::int64_t terminal_columns() {
  constexpr std::int64_t kOtherwise = 100;
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return kOtherwise;
  return size.ws_col;
}

class ShowCommand final : public Command {
 public:
  std::string_view name() const override { return "show"; }
  std::string_view summary() const override {
    return "prompts, texts and scores behind the mismatch of two policies";
  }
  std::string_view details() const override {
    return "Shows the comparisons of two policies: prompt, both responses, their scores, and "
           "whether the offset changes the winner. Comparisons that it flips come first. With "
           "--calibration the offsets are those of charm calibrate; with --ratings the offset is "
           "fitted to this pair.\n"
           "\n"
           "  charm show --scores scores/rm/*.parquet --ratings ratings.json --policy "
           "gemma-2-9b-it-SimPO --against gpt-4o-mini\n"
           "  charm show --scores scores/rm/*.parquet --calibration calibration.json --policy "
           "gemma-2-9b-it-SimPO --against gpt-4o-mini --top 0 --output flips.csv";
  }
  void describe(OptionTable& table) override { show::describe_command(table, options_); }
  void run(const CommonOptions& common, const ProgressFn& progress) override {
    if (options_.ratings)
      pipeline::fetch_dataset_source(*options_.ratings, std::nullopt, common.offline, progress);
    const show::ShowResult result = show::show(options_);
    const show::TextLayout layout{.width = options_.width > 0 ? options_.width : terminal_columns(),
                                  .lines = options_.lines};
    if (!options_.output) {
      fmt::print("{}{}", summary_text(result, layout), comparisons_text(result, layout));
      return;
    }
    if (common.quiet) return;
    fmt::print("{}: {} comparisons\n{}", options_.output->string(), result.comparisons.size(),
               summary_text(result, layout));
  }

 private:
  show::ShowOptions options_;
};

}  // namespace

std::unique_ptr<Command> make_show_command() { return std::make_unique<ShowCommand>(); }

}  // namespace charm::cli
