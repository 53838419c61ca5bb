#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "charm/pipeline/run_plan.h"

namespace charm::pipeline {

struct RunOptions {
  std::string from;  ///< first stage to run; outputs of earlier stages are used as they are. Empty:
                     ///< the first
  std::string until;     ///< last stage to run. Empty: the last
  bool dry_run = false;  ///< list the steps without running them
  bool fresh = false;    ///< rerun the steps from `from` to `until` unconditionally
  int threads = 0;       ///< 0: all processors of this process
};

enum class StepState {
  kOutside,  ///< before `from` or after `until`
  kDone,     ///< finished earlier with the same settings and inputs
  kRun,      ///< never finished
  kChanged,  ///< outdated: settings or inputs differ, or an earlier step will run
};

struct StepReport {
  const Step* step = nullptr;
  StepState state = StepState::kOutside;
  bool finished = false;  ///< has run in this process
  std::string note;       ///< what the finished step adds to its line, if anything
};

/// Called before and after each step that is run, and once for each that is not.
using StepFn = std::function<void(std::size_t index, const StepReport& report)>;

struct RunSummary {
  std::size_t num_run = 0;   ///< steps run (dry run: to be run)
  std::size_t num_kept = 0;  ///< steps finished earlier
};

/// Runs the plan in order. Each finished step writes a record to `<run_dir>/steps/`; after an
/// interruption the next call resumes the step in progress. Throws kUsage for unknown stage names
/// and when outputs needed by `from` are missing.
RunSummary run_plan(const std::vector<Step>& plan, const fs::path& run_dir,
                    const RunOptions& options, const StepFn& on_step, const ProgressFn& progress);

/// SHA-256 over stage, settings and the content of the inputs.
std::string step_fingerprint(const Step& step,
                             const std::function<std::string(const fs::path&)>& hash_of);

}  // namespace charm::pipeline
