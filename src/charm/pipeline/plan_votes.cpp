#include "charm/pipeline/plan_builder.h"

// Steps of people's votes, and evaluations of the run's own scores by votes and best-of-n.
namespace charm::pipeline {

void PlanBuilder::add_vote_scoring(const std::string& stage, const std::string& rm,
                                   const fs::path& model_dir) {
  if (recipe_.votes.empty()) return;
  score::ScoreStageOptions options = recipe_.reward_model.score;
  options.model_dir = model_dir;
  options.model.source = source_of(model_dir);
  options.votes = recipe_.votes;
  options.output = paths_.votes(rm);
  Step step{.stage = stage,
            .name = stage + " " + rm + " votes",
            .inputs = model_inputs(model_dir),
            .outputs = {options.output},
            .settings = settings("score"),
            .run = {}};
  step.inputs.insert(step.inputs.end(), options.votes.begin(), options.votes.end());
  if (options.encoder.template_file) step.inputs.push_back(*options.encoder.template_file);
  step.run = [options](const StepContext& context) {
    score::ScoreStageOptions own = options;
    own.fresh = context.fresh;
    own.model.threads = context.threads;
    score::score_stage(own, context.progress);
  };
  add(std::move(step));
}

void PlanBuilder::add_vote_measuring(const std::string& stage, const std::string& rm) {
  if (recipe_.votes.empty()) return;
  measure::MeasureOptions options = recipe_.mismatch;
  options.votes = {paths_.votes(rm)};
  options.output = paths_.vote_mismatch(rm);
  Step step{.stage = stage,
            .name = stage + " " + rm + " votes",
            .inputs = options.votes,
            .outputs = {options.output},
            .settings = settings("measure"),
            .run = {}};
  step.run = [options](const StepContext& context) {
    measure::MeasureOptions own = options;
    own.num_threads = static_cast<std::size_t>(context.threads);
    measure::measure(own, context.progress);
  };
  add(std::move(step));
}

void PlanBuilder::set_calibration(const RecipeEvaluation& evaluation, const std::string& rm,
                                  evaluate::EvaluateOptions& options, Step& step) const {
  if (evaluation.calibration.empty()) return;
  options.calibration = paths_.calibration(rm, evaluation.calibration);
  step.inputs.push_back(*options.calibration);
}

void PlanBuilder::set_vote_inputs(const RecipeEvaluation& evaluation, const std::string& rm,
                                  evaluate::EvaluateOptions& options, Step& step) const {
  options.scores = {paths_.votes(rm)};
  step.inputs = options.scores;
  // The held-out share: votes of prompts that neither offsets nor training have seen.
  if (held_out()) options.holdout = recipe_.holdout;
  step.settings.push_back({.name = "holdout", .values = {fmt::format("{}", options.holdout)}});
  // Offsets are of the given reward model.
  if (rm == recipe_.reward_model.name) set_calibration(evaluation, rm, options, step);
}

void PlanBuilder::set_audit_inputs(const RecipeEvaluation& evaluation, const std::string& rm,
                                   evaluate::EvaluateOptions& options, Step& step) const {
  const std::string& given = recipe_.reward_model.name;
  options.scores = measured_scores(given);
  step.inputs = options.scores;
  if (rm == given) {
    set_calibration(evaluation, rm, options, step);
  } else {
    options.scores_after = measured_scores(rm);
    step.inputs.insert(step.inputs.end(), options.scores_after.begin(), options.scores_after.end());
  }
  options.ratings = recipe_.ratings.file;
  options.ratings_category = recipe_.ratings.category;
  options.ratings_date = recipe_.ratings.date;
  options.aliases = recipe_.ratings.aliases;
  step.inputs.push_back(options.ratings);
  const std::vector<Setting> more = rating_settings();
  step.settings.insert(step.settings.end(), more.begin(), more.end());
}

}  // namespace charm::pipeline
