#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "charm/base/launch.h"
#include "charm/base/progress.h"

namespace charm {
class OptionTable;
}

namespace charm::cli {

/// Options of every command, and how it was started.
struct CommonOptions {
  bool quiet = false;    ///< no progress, no summary; warnings and errors still appear
  bool verbose = false;  ///< debug messages
  int threads = 0;       ///< 0: all processors this process may use
  bool offline = false;  ///< use only cached models and data sets of the Hub
  bool fresh = false;    ///< start over instead of resuming an interrupted run
  Launch launch;         ///< of the program; a call in another program is its own
};

/// One subcommand. Owns the options struct that `describe` binds. Used once, from one thread.
class Command {
 public:
  virtual ~Command() = default;
  virtual std::string_view name() const = 0;
  /// One line for the list of commands.
  virtual std::string_view summary() const = 0;
  /// Description and examples for `--help`; lines are wrapped.
  virtual std::string_view details() const = 0;
  /// Adds the command's own options; called once, before `run`.
  virtual void describe(OptionTable& table) = 0;
  /// Whether the command can be distributed over processes of a launcher; otherwise they would
  /// overwrite each other's files.
  virtual bool supports_multi_process() const { return false; }
  /// Does the work and prints its result to stdout unless `common.quiet`.
  virtual void run(const CommonOptions& common, const ProgressFn& progress) = 0;
};

std::unique_ptr<Command> make_prepare_command();
std::unique_ptr<Command> make_generate_command();
std::unique_ptr<Command> make_score_command();
std::unique_ptr<Command> make_rate_command();
std::unique_ptr<Command> make_measure_command();
std::unique_ptr<Command> make_calibrate_command();
std::unique_ptr<Command> make_prefer_command();
std::unique_ptr<Command> make_train_command();
std::unique_ptr<Command> make_evaluate_command();
std::unique_ptr<Command> make_explain_command();
std::unique_ptr<Command> make_show_command();
std::unique_ptr<Command> make_report_command();
std::unique_ptr<Command> make_init_command();
std::unique_ptr<Command> make_check_command();
std::unique_ptr<Command> make_run_command();
std::unique_ptr<Command> make_serve_command();
std::unique_ptr<Command> make_inspect_command();
std::unique_ptr<Command> make_demo_command();

/// All of them, in the order of the pipeline.
std::vector<std::unique_ptr<Command>> make_commands();

/// Describes the common options, bound to `common`.
void describe_common(OptionTable& table, CommonOptions& common);

}  // namespace charm::cli
