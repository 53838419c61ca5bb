#include "charm/calibrate/calibration.h"
#include "charm/evaluate/compare_stage.h"
#include "charm/pipeline/plan_builder.h"
#include "charm/report/report_stage.h"

// Steps from scores to calibration, training, evaluation and report.
namespace charm::pipeline {

void PlanBuilder::add_calibration(const std::string& rm, const RecipeCalibration& calibration) {
  calibrate::CalibrateOptions options = calibration.options;
  if (calibration.votes) {
    options.votes = {paths_.votes(rm)};
    if (held_out()) options.holdout = recipe_.holdout;
  } else {
    options.scores = fit_scores(rm, options.policies);
    options.held_out_scores = held_out_scores(rm, options.policies);
  }
  const bool uses_ratings = !calibration.votes || calibration.rating_prior;
  if (uses_ratings) options.ratings = recipe_.ratings.file;
  options.category = recipe_.ratings.category;
  options.date = recipe_.ratings.date;
  // Aliases of policies outside the set are not passed on.
  for (const auto& [policy, name] : recipe_.ratings.aliases) {
    if (std::find(options.policies.begin(), options.policies.end(), policy) !=
        options.policies.end()) {
      options.aliases.emplace(policy, name);
    }
  }
  options.output = paths_.calibration(rm, calibration.set);
  Step step{.stage = "calibrate",
            .name = "calibrate " + rm + "/" + calibration.set,
            .inputs = calibration.votes ? options.votes : options.scores,
            .outputs = {options.output},
            .settings = calibration.settings,
            .run = {}};
  step.inputs.insert(step.inputs.end(), options.held_out_scores.begin(),
                     options.held_out_scores.end());
  if (uses_ratings) step.inputs.push_back(options.ratings);
  if (calibration.votes)
    step.settings.push_back(
        {.name = "held-out votes", .values = {fmt::format("{}", options.holdout)}});
  step.settings.push_back({.name = "set", .values = options.policies});
  const std::vector<Setting> more = rating_settings();
  step.settings.insert(step.settings.end(), more.begin(), more.end());
  step.run = [options](const StepContext& context) {
    calibrate::CalibrateOptions own = options;
    own.solve.num_threads = static_cast<std::size_t>(context.threads);
    calibrate::calibrate(own, context.progress);
  };
  add(std::move(step));
}

void PlanBuilder::add_preferences(const std::string& rm, const RecipeCalibration& calibration) {
  const std::string& set = calibration.set;
  prefer::PreferOptions options = calibration.preferences;
  options.scores = fit_scores(rm, calibration.options.policies);
  options.calibration = paths_.calibration(rm, set);
  options.output = paths_.preferences(rm, set);
  Step step{.stage = "prefer",
            .name = "prefer " + rm + "/" + set,
            .inputs = options.scores,
            .outputs = {options.output},
            .settings = calibration.preference_settings,
            .run = {}};
  step.inputs.push_back(options.calibration);
  step.run = [options](const StepContext& context) { prefer::prefer(options, context.progress); };
  add(std::move(step));
}

void PlanBuilder::add_training(const std::string& rm, const RecipeCalibration& calibration) {
  const std::string& set = calibration.set;
  train::TrainOptions options = calibration.training;
  options.model = recipe_.reward_model.score.model_dir;
  if (options.source.adapter.empty() && options.source.base_model.empty())
    options.source = source_of(options.model);
  options.preferences = paths_.preferences(rm, set);
  options.output = paths_.model(rm, set);
  Step step{.stage = "train",
            .name = "train " + rm + "/" + set,
            .inputs = model_inputs(options.model),
            .outputs = {options.output},
            .settings = calibration.training_settings,
            .run = {}};
  step.inputs.push_back(options.preferences);
  if (options.eval_preferences) step.inputs.push_back(*options.eval_preferences);
  if (options.template_file) step.inputs.push_back(*options.template_file);
  step.run = [options](const StepContext& context) {
    train::TrainOptions own = options;
    own.threads = context.threads;
    own.fresh = context.fresh;
    own.replace_other = true;  // the step runs because its inputs or settings changed
    train::train(own, context.progress);
  };
  add(std::move(step));
}

std::vector<std::pair<std::string, fs::path>> PlanBuilder::models() const {
  const std::string& rm = recipe_.reward_model.name;
  std::vector<std::pair<std::string, fs::path>> all = {{rm, recipe_.reward_model.score.model_dir}};
  if (!recipe_.trains) return all;
  for (const RecipeCalibration& calibration : recipe_.calibrations) {
    all.emplace_back(retrained_name(rm, calibration.set), paths_.model(rm, calibration.set));
  }
  return all;
}

void PlanBuilder::add_evaluation(const RecipeEvaluation& evaluation) {
  for (const auto& [name, folder] : models()) {
    evaluate::EvaluateOptions options = evaluation.options;
    options.output = paths_.evaluation(name, evaluation.name);
    options.model_name = name;
    Step step{.stage = "evaluate",
              .name = "evaluate " + name + "/" + evaluation.name,
              .inputs = {},
              .outputs = {options.output},
              .settings = evaluation.settings,
              .run = {}};
    if (options.benchmark == evaluate::Benchmark::kArena) {
      options.scores = measured_scores(name);
      options.ratings = recipe_.ratings.file;
      if (!recipe_.ratings.category.empty()) options.ratings_category = recipe_.ratings.category;
      if (!recipe_.ratings.date.empty()) options.ratings_date = recipe_.ratings.date;
      options.aliases = recipe_.ratings.aliases;
      step.inputs = options.scores;
      step.inputs.push_back(options.ratings);
      const std::vector<Setting> more = rating_settings();
      step.settings.insert(step.settings.end(), more.begin(), more.end());
    } else if (options.benchmark == evaluate::Benchmark::kVotes) {
      set_vote_inputs(evaluation, name, options, step);
    } else if (options.benchmark == evaluate::Benchmark::kBestOfN) {
      set_audit_inputs(evaluation, name, options, step);
    } else {
      options.model_dir = folder;
      options.model.source = source_of(folder);
      step.inputs = options.data;
      for (const fs::path& input : model_inputs(folder)) step.inputs.push_back(input);
      const std::vector<Setting>& more = settings("score");
      step.settings.insert(step.settings.end(), more.begin(), more.end());
      if (options.encoder.template_file) step.inputs.push_back(*options.encoder.template_file);
    }
    step.run = [options](const StepContext& context) {
      evaluate::EvaluateOptions own = options;
      own.fresh = context.fresh;
      own.model.threads = context.threads;
      evaluate::evaluate(own, context.progress);
    };
    add(std::move(step));
  }
}

void PlanBuilder::add_comparisons(const RecipeEvaluation& evaluation) {
  // The audit of a fine-tuned model is a comparison with the given one (set_audit_inputs).
  if (evaluation.options.benchmark == evaluate::Benchmark::kBestOfN) return;
  const std::string& rm = recipe_.reward_model.name;
  for (const RecipeCalibration& calibration : recipe_.calibrations) {
    const std::string after = retrained_name(rm, calibration.set);
    evaluate::CompareOptions options;
    options.runs = {paths_.evaluation(rm, evaluation.name),
                    paths_.evaluation(after, evaluation.name)};
    options.output = paths_.comparison(after, evaluation.name);
    options.bootstrap = evaluation.options.bootstrap;
    options.seed = evaluation.options.seed;
    options.max_bad_rows = evaluation.options.max_bad_rows;
    if (evaluation.options.benchmark == evaluate::Benchmark::kArena) {
      const std::vector<std::string>& calibrated = calibration.options.policies;
      for (const RecipePolicy& policy : recipe_.policies) {
        if (std::find(calibrated.begin(), calibrated.end(), policy.name) == calibrated.end())
          options.held_out_policies.push_back(policy.name);
      }
    }
    Step step{.stage = "evaluate",
              .name = "compare " + after + "/" + evaluation.name,
              .inputs = options.runs,
              .outputs = {options.output},
              .settings = evaluation.settings,
              .run = {}};
    step.run = [options](const StepContext&) { evaluate::compare(options); };
    add(std::move(step));
  }
}

void PlanBuilder::add_explanation(const std::string& rm, const RecipeCalibration& calibration) {
  explain::ExplainOptions options = recipe_.explanation;
  options.scores = fit_scores(rm, calibration.options.policies);
  options.min_prompts = std::min(options.min_prompts, calibration.options.min_prompts);
  options.held_out_scores = held_out_scores(rm, calibration.options.policies);
  if (calibration.options.holdout > 0.0)
    options.held_out_scores.clear();  // the calibration has its own split
  options.calibration = paths_.calibration(rm, calibration.set);
  options.output = paths_.explanation(rm, calibration.set);
  Step step{.stage = "explain",
            .name = "explain " + rm + "/" + calibration.set,
            .inputs = options.scores,
            .outputs = {options.output},
            .settings = settings("explain"),
            .run = {}};
  step.inputs.insert(step.inputs.end(), options.held_out_scores.begin(),
                     options.held_out_scores.end());
  step.inputs.push_back(*options.calibration);
  for (const RecipeEvaluation& evaluation : recipe_.evaluations) {
    fs::path saved = paths_.evaluation(rm, evaluation.name);
    saved.replace_extension(".scores.parquet");
    if (evaluation.options.benchmark == evaluate::Benchmark::kRewardBench) {
      options.reward_bench.push_back(saved);
    } else if (evaluation.options.benchmark == evaluate::Benchmark::kRmBench) {
      options.rm_bench.push_back(saved);
    } else {
      continue;
    }
    step.inputs.push_back(saved);
  }
  step.run = [options](const StepContext& context) {
    explain::ExplainOptions own = options;
    own.settings.num_threads = static_cast<std::size_t>(context.threads);
    explain::explain(own, context.progress);
  };
  add(std::move(step));
}

void PlanBuilder::add_report() {
  report::ReportOptions options = recipe_.report;
  options.run_dir = paths_.root;
  if (!options.site) options.output = paths_.report();
  Step step{.stage = "report",
            .name = "report",
            .inputs = {paths_.world()},
            .outputs = {options.site ? *options.site : options.output},
            .settings = settings("report"),
            .run = {}};
  for (const Step& earlier : steps_) {
    if (earlier.stage == "prompts" || earlier.stage == "responses") continue;
    step.inputs.insert(step.inputs.end(), earlier.outputs.begin(), earlier.outputs.end());
  }
  step.run = [options](const StepContext& context) {
    report::write_report(options, context.progress);
  };
  add(std::move(step));
}

}  // namespace charm::pipeline
