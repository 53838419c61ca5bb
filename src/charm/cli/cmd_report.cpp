#include <fmt/format.h>

#include "charm/cli/command.h"
#include "charm/report/report_stage.h"

namespace charm::cli {
namespace {

class ReportCommand final : public Command {
 public:
  std::string_view name() const override { return "report"; }
  std::string_view summary() const override { return "one HTML file about a run directory"; }
  std::string_view details() const override {
    return "Writes one self-contained HTML file with the results of a run directory: win rates "
           "against targets, the mismatch matrix, score distributions, training curves, "
           "benchmarks, provenance. It needs no network to view.\n"
           "\n"
           "  charm report --run run/";
  }
  void describe(OptionTable& table) override {
    table
        .path("run", options_.run_dir, "DIR",
              "Run directory (scores/, mismatch/, calibration/, models/, eval/), or a folder with "
              "the "
              "results of commands run one by one.")
        .required()
        .path("output", options_.output, "FILE",
              "HTML file to write; by default report.html in the run directory.")
        .text("title", options_.title, "TEXT", "Heading of the report.");
  }
  void run(const CommonOptions& common, const ProgressFn& progress) override {
    const report::ReportResult result = report::write_report(options_, progress);
    if (common.quiet) return;
    fmt::print("{}\n", result.output.string());
    for (const std::string& missing : result.missing) fmt::print("  missing: {}\n", missing);
  }

 private:
  report::ReportOptions options_;
};

}  // namespace

std::unique_ptr<Command> make_report_command() { return std::make_unique<ReportCommand>(); }

}  // namespace charm::cli
