#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "charm/base/progress.h"
#include "charm/pipeline/recipe.h"

namespace charm::pipeline {

/// What a step is run with.
struct StepContext {
  bool fresh = false;  ///< drop what an interrupted run left
  int threads = 0;     ///< 0: all processors of this process
  ProgressFn progress;
};

/// One stage applied to one thing. A step is done when its outputs are there and its fingerprint
/// (stage, settings, content of the inputs) is the one they were made with.
struct Step {
  std::string stage;              ///< one of `stage_names()`
  std::string name;               ///< unique: "train base/all"
  std::vector<fs::path> inputs;   ///< files and folders; those that are missing count as empty
  std::vector<fs::path> outputs;  ///< files and folders
  std::vector<Setting> settings;  ///< whatever changes the outputs
  std::function<void(const StepContext&)> run;
};

/// "prompts", "responses", "score", "measure", ... in the order they run.
std::span<const std::string_view> stage_names();

/// All steps of a recipe, in order; each reads only what earlier ones wrote or the recipe names.
std::vector<Step> make_plan(const Recipe& recipe);

}  // namespace charm::pipeline
