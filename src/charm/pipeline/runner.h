#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "charm/pipeline/run_plan.h"

namespace charm::pipeline {

struct RunOptions {
  std::string
      from;  ///< first stage to look at; what earlier ones left is taken as it is. Empty: the first
  std::string until;     ///< last stage to run. Empty: the last
  bool dry_run = false;  ///< say what would be done, do nothing
  bool fresh = false;    ///< run the steps from `from` to `until` again, whatever is there
  int threads = 0;       ///< 0: all processors of this process
};

enum class StepState {
  kOutside,  ///< before `from` or after `until`
  kDone,     ///< finished earlier with the same settings and inputs
  kRun,      ///< to be run: never finished
  kChanged,  ///< to be run again: settings or inputs differ, or an earlier step will be run
};

struct StepReport {
  const Step* step = nullptr;
  StepState state = StepState::kOutside;
  bool finished = false;  ///< has run in this process
};

/// Called before and after each step that is run, and once for each that is not.
using StepFn = std::function<void(std::size_t index, const StepReport& report)>;

struct RunSummary {
  std::size_t num_run = 0;   ///< steps run (dry run: to be run)
  std::size_t num_kept = 0;  ///< steps finished earlier
};

/// Runs the plan in order. Each finished step leaves a record in `<run_dir>/steps/`; killed at any
/// moment, the next call goes on with the step that was under way. Throws kUsage for unknown stage
/// names and when `from` builds on outputs that are missing.
RunSummary run_plan(const std::vector<Step>& plan, const fs::path& run_dir,
                    const RunOptions& options, const StepFn& on_step, const ProgressFn& progress);

/// SHA-256 over stage, settings and the content of the inputs.
std::string step_fingerprint(const Step& step,
                             const std::function<std::string(const fs::path&)>& hash_of);

}  // namespace charm::pipeline
