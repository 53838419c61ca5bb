#include <fmt/format.h>

#include "charm/base/log.h"
#include "charm/base/option_table.h"
#include "charm/cli/command.h"
#include "charm/report/report_stage.h"

namespace charm::cli {
namespace {

constexpr std::int64_t kLargeFile = 8'000'000;  // bytes; mail and browsers take more, readers wait

std::string size_text(std::int64_t bytes) {
  return bytes < 1'000'000 ? fmt::format("{:.0f} kB", static_cast<double>(bytes) / 1e3)
                           : fmt::format("{:.1f} MB", static_cast<double>(bytes) / 1e6);
}

class ReportCommand final : public Command {
 public:
  std::string_view name() const override { return "report"; }
  std::string_view summary() const override { return "one HTML file about a run directory"; }
  std::string_view details() const override {
    return "Writes one self-contained HTML file with the results of a run directory: win rates "
           "against targets, the mismatch matrix, score distributions, training curves, "
           "benchmarks, provenance, and the responses behind every number (cases). It needs no "
           "network to view.\n"
           "\n"
           "  charm report --run run/\n"
           "  charm report --run run/ --cases 200 --site run/site";
  }
  void describe(OptionTable& table) override { report::describe_command(table, options_); }
  void run(const CommonOptions& common, const ProgressFn& progress) override {
    const report::ReportResult result = report::write_report(options_, progress);
    for (const std::string& problem : result.case_problems) log::warning("{}", problem);
    if (common.quiet) return;
    fmt::print("{}\n", result.output.string());
    if (options_.cases > 0) {
      fmt::print("  {} cases behind {} numbers: {} {}\n", result.num_cases, result.num_cells,
                 size_text(result.case_bytes),
                 options_.site ? "in cases/, loaded on demand" : "compressed inside the file");
    }
    fmt::print("  size of the HTML file: {}\n", size_text(result.file_bytes));
    if (!options_.site && result.file_bytes > kLargeFile) {
      fmt::print("  for a smaller file: --site DIR, or fewer --cases than {}\n", options_.cases);
    }
    for (const std::string& missing : result.missing) fmt::print("  missing: {}\n", missing);
  }

 private:
  report::ReportOptions options_;
};

}  // namespace

std::unique_ptr<Command> make_report_command() { return std::make_unique<ReportCommand>(); }

}  // namespace charm::cli
