#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "charm/base/fs.h"
#include "charm/base/progress.h"
#include "charm/pipeline/section.h"

namespace charm::pipeline {

struct Recipe;

/// Run-time options of a step.
struct StepContext {
  bool fresh = false;  ///< discard the state of an interrupted run
  int threads = 0;     ///< 0: all processors of this process
  ProgressFn progress;
  std::function<void(const std::string&)> note;  ///< adds to the step's line of the run
};

/// One stage applied to one input. A step is done when its outputs exist and its fingerprint
/// (stage, settings, content of the inputs) equals the recorded one.
struct Step {
  std::string stage;              ///< one of `stage_names()`
  std::string name;               ///< unique: "train base/all"
  std::vector<fs::path> inputs;   ///< files and folders; missing ones count as empty
  std::vector<fs::path> outputs;  ///< files and folders
  std::vector<Setting> settings;  ///< everything that affects the outputs
  std::function<void(const StepContext&)> run;
  /// Outputs of an earlier run stay until the step replaces them: it reuses what is still valid.
  bool reuses_outputs = false;
};

/// "prompts", "responses", "score", "measure", ... in the order they run.
std::span<const std::string_view> stage_names();

/// All steps of a recipe, in order; each reads only outputs of earlier steps and inputs of the
/// recipe.
std::vector<Step> make_plan(const Recipe& recipe);

}  // namespace charm::pipeline
