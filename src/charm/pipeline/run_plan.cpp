#include "charm/pipeline/run_plan.h"

#include <array>

#include "charm/pipeline/plan_builder.h"

namespace charm::pipeline {
namespace {

constexpr std::array<std::string_view, 12> kStages = {
    "prompts", "responses", "score",     "measure",  "calibrate", "prefer",
    "train",   "rescore",   "remeasure", "evaluate", "explain",   "report"};

}  // namespace

std::vector<Step> PlanBuilder::build() {
  add_prompts();
  add_responses();
  const std::string& rm = recipe_.reward_model.name;
  add_scoring("score", rm, recipe_.reward_model.score.model_dir, response_files());
  add_vote_scoring("score", rm, recipe_.reward_model.score.model_dir);
  if (held_out()) add_split(rm);
  add_measuring("measure", rm);
  add_vote_measuring("measure", rm);
  for (const RecipeCalibration& calibration : recipe_.calibrations)
    add_calibration(rm, calibration);
  for (const RecipeCalibration& calibration : recipe_.calibrations)
    add_preferences(rm, calibration);
  if (recipe_.trains) {
    for (const RecipeCalibration& calibration : recipe_.calibrations) add_training(rm, calibration);
    for (const RecipeCalibration& calibration : recipe_.calibrations) {
      add_scoring("rescore", retrained_name(rm, calibration.set), paths_.model(rm, calibration.set),
                  measured_responses());
      add_vote_scoring("rescore", retrained_name(rm, calibration.set),
                       paths_.model(rm, calibration.set));
    }
    for (const RecipeCalibration& calibration : recipe_.calibrations) {
      add_measuring("remeasure", retrained_name(rm, calibration.set));
      add_vote_measuring("remeasure", retrained_name(rm, calibration.set));
    }
  }
  for (const RecipeEvaluation& evaluation : recipe_.evaluations) {
    add_evaluation(evaluation);
    if (recipe_.trains) add_comparisons(evaluation);
  }
  for (const RecipeCalibration& calibration : recipe_.calibrations)
    add_explanation(rm, calibration);
  add_report();
  return std::move(steps_);
}

std::span<const std::string_view> stage_names() { return kStages; }

std::vector<Step> make_plan(const Recipe& recipe) { return PlanBuilder(recipe).build(); }

}  // namespace charm::pipeline
