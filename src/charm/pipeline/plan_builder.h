#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "charm/pipeline/recipe.h"
#include "charm/pipeline/run_paths.h"
#include "charm/pipeline/run_plan.h"

namespace charm::pipeline {

/// Builds the steps of one recipe. Closures hold copies of what they need: a plan outlives its
/// recipe.
class PlanBuilder {
 public:
  explicit PlanBuilder(const Recipe& recipe) : recipe_(recipe), paths_{recipe.run_dir} {}

  std::vector<Step> build();

 private:
  void add(Step step);
  const std::vector<Setting>& settings(const std::string& section) const;
  std::vector<Setting> rating_settings() const;
  fs::path scores(const std::string& rm, const std::string& policy) const;
  bool held_out() const { return recipe_.holdout > 0.0; }
  /// Score files for calibration and preferences.
  std::vector<fs::path> fit_scores(const std::string& rm,
                                   const std::vector<std::string>& policies) const;
  /// Score files for the evaluation of calibrations; none without held-out prompts.
  std::vector<fs::path> held_out_scores(const std::string& rm,
                                        const std::vector<std::string>& policies) const;
  /// Score files for mismatch and correlation. A retrained model scores only these prompts.
  std::vector<fs::path> measured_scores(const std::string& rm) const;
  std::vector<fs::path> response_files() const;
  /// Responses that a retrained model scores: those to held-out prompts (score files include the
  /// texts), or all.
  std::vector<fs::path> measured_responses() const;

  void add_prompts();
  void add_responses();
  void add_generation(const RecipePolicy& policy, const fs::path& prompts, const fs::path& output);
  /// Adapter and base of the recipe's reward model; none for retrained ones.
  engine::ModelSourceOptions source_of(const fs::path& model_dir) const;
  /// The folders that a model is read from.
  std::vector<fs::path> model_inputs(const fs::path& model_dir) const;
  void add_scoring(const std::string& stage, const std::string& rm, const fs::path& model_dir,
                   const std::vector<fs::path>& responses);
  void add_split(const std::string& rm);
  void add_measuring(const std::string& stage, const std::string& rm);
  /// Scores the recipe's votes and measures the reward model against them; nothing without votes.
  void add_vote_scoring(const std::string& stage, const std::string& rm, const fs::path& model_dir);
  void add_vote_measuring(const std::string& stage, const std::string& rm);
  void add_calibration(const std::string& rm, const RecipeCalibration& calibration);
  void add_preferences(const std::string& rm, const RecipeCalibration& calibration);
  void add_training(const std::string& rm, const RecipeCalibration& calibration);
  /// The reward models of the run by name and folder: the given one, then the fine-tuned ones.
  std::vector<std::pair<std::string, fs::path>> models() const;
  void add_evaluation(const RecipeEvaluation& evaluation);
  /// Inputs of an evaluation of votes, and of an audit; both use the run's own scores.
  void set_vote_inputs(const RecipeEvaluation& evaluation, const std::string& rm,
                       evaluate::EvaluateOptions& options, Step& step) const;
  void set_audit_inputs(const RecipeEvaluation& evaluation, const std::string& rm,
                        evaluate::EvaluateOptions& options, Step& step) const;
  void set_calibration(const RecipeEvaluation& evaluation, const std::string& rm,
                       evaluate::EvaluateOptions& options, Step& step) const;
  /// The fine-tuned models against their base model, on the same rows.
  void add_comparisons(const RecipeEvaluation& evaluation);
  /// After the evaluations, whose saved scores are used to evaluate post-hoc corrections on
  /// benchmarks.
  void add_explanation(const std::string& rm, const RecipeCalibration& calibration);
  void add_report();

  const Recipe& recipe_;
  RunPaths paths_;
  std::vector<Step> steps_;
};

}  // namespace charm::pipeline
