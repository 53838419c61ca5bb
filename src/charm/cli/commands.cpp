#include "charm/base/option_table.h"
#include "charm/cli/command.h"

namespace charm::cli {

std::vector<std::unique_ptr<Command>> make_commands() {
  std::vector<std::unique_ptr<Command>> commands;
  commands.push_back(make_prepare_command());
  commands.push_back(make_generate_command());
  commands.push_back(make_score_command());
  commands.push_back(make_rate_command());
  commands.push_back(make_measure_command());
  commands.push_back(make_calibrate_command());
  commands.push_back(make_prefer_command());
  commands.push_back(make_train_command());
  commands.push_back(make_evaluate_command());
  commands.push_back(make_explain_command());
  commands.push_back(make_show_command());
  commands.push_back(make_report_command());
  commands.push_back(make_init_command());
  commands.push_back(make_check_command());
  commands.push_back(make_run_command());
  commands.push_back(make_serve_command());
  commands.push_back(make_inspect_command());
  commands.push_back(make_demo_command());
  return commands;
}

namespace {

/// More threads only contend with each other, and thousands may fail to start.
constexpr int kMaxThreads = 1024;

}  // namespace

void describe_common(OptionTable& table, CommonOptions& common) {
  table.flag("quiet", common.quiet, "No progress and no summary; warnings and errors still appear.")
      .flag("verbose", common.verbose, "Debug messages on stderr.")
      .integer("threads", common.threads, "N",
               "CPU threads; 0: all available to this process. Results do not depend on it.")
      .within(0, kMaxThreads)
      .flag("offline", common.offline,
            "Use only cached hub:OWNER/NAME sources; also set by HF_HUB_OFFLINE=1.")
      .flag("fresh", common.fresh,
            "Start over instead of resuming an interrupted run, and replace finished output.");
}

}  // namespace charm::cli
