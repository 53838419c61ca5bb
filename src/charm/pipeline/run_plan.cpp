#include "charm/pipeline/run_plan.h"

#include <algorithm>
#include <array>

#include "charm/evaluate/compare_stage.h"
#include "charm/pipeline/run_paths.h"
#include "charm/pipeline/split.h"
#include "charm/report/report_stage.h"

namespace charm::pipeline {
namespace {

constexpr std::array<std::string_view, 12> kStages = {"prompts", "responses", "score",    "measure",   "calibrate", "prefer",
                                                      "train",   "rescore",   "remeasure", "evaluate", "explain", "report"};

/// Builds the steps of one recipe. Closures hold copies of what they need: a plan outlives its recipe.
class PlanBuilder {
 public:
  explicit PlanBuilder(const Recipe& recipe) : recipe_(recipe), paths_{recipe.run_dir} {}

  std::vector<Step> build() {
    add_prompts();
    add_responses();
    const std::string& rm = recipe_.reward_model.name;
    add_scoring("score", rm, recipe_.reward_model.score.model_dir, response_files());
    if (held_out()) add_split(rm);
    add_measuring("measure", rm);
    for (const RecipeCalibration& calibration : recipe_.calibrations) add_calibration(rm, calibration);
    for (const RecipeCalibration& calibration : recipe_.calibrations) add_preferences(rm, calibration);
    if (recipe_.trains) {
      for (const RecipeCalibration& calibration : recipe_.calibrations) add_training(rm, calibration);
      for (const RecipeCalibration& calibration : recipe_.calibrations) {
        add_scoring("rescore", retrained_name(rm, calibration.set), paths_.model(rm, calibration.set), measured_responses());
      }
      for (const RecipeCalibration& calibration : recipe_.calibrations) {
        add_measuring("remeasure", retrained_name(rm, calibration.set));
      }
    }
    for (const RecipeEvaluation& evaluation : recipe_.evaluations) {
      add_evaluation(evaluation);
      if (recipe_.trains) add_comparisons(evaluation);
    }
    for (const RecipeCalibration& calibration : recipe_.calibrations) add_explanation(rm, calibration);
    add_report();
    return std::move(steps_);
  }

 private:
  void add(Step step) {
    step.settings.push_back({.name = "recipe seed", .values = {std::to_string(recipe_.seed)}});
    steps_.push_back(std::move(step));
  }

  const std::vector<Setting>& settings(const std::string& section) const {
    static const std::vector<Setting> kNone;
    const auto found = recipe_.settings.find(section);
    return found == recipe_.settings.end() ? kNone : found->second;
  }

  std::vector<Setting> rating_settings() const {
    std::vector<Setting> all = {{.name = "category", .values = {recipe_.ratings.category}}};
    for (const auto& [policy, name] : recipe_.ratings.aliases) all.push_back({.name = "alias", .values = {policy, name}});
    return all;
  }

  fs::path scores(const std::string& rm, const std::string& policy) const {
    return score::score_file(paths_.scores_dir(rm), policy);
  }

  bool held_out() const { return recipe_.holdout > 0.0; }

  /// Score files that calibration and preferences may look at.
  std::vector<fs::path> fit_scores(const std::string& rm, const std::vector<std::string>& policies) const {
    std::vector<fs::path> files;
    for (const RecipePolicy& policy : recipe_.policies) {
      if (std::find(policies.begin(), policies.end(), policy.name) == policies.end()) continue;
      const std::string name = file_name_of(policy.name);
      files.push_back(held_out() ? paths_.split("fit", rm, name) : scores(rm, policy.name));
    }
    return files;
  }

  /// Score files that calibration is checked on; none without held-out prompts.
  std::vector<fs::path> held_out_scores(const std::string& rm, const std::vector<std::string>& policies) const {
    std::vector<fs::path> files;
    if (!held_out()) return files;
    for (const std::string& policy : policies) files.push_back(paths_.split("held-out", rm, file_name_of(policy)));
    return files;
  }

  /// Score files that mismatch and correlation are measured on. A retrained model scores no other prompts.
  std::vector<fs::path> measured_scores(const std::string& rm) const {
    const bool split = held_out() && rm == recipe_.reward_model.name;
    std::vector<fs::path> files;
    for (const RecipePolicy& policy : recipe_.policies) {
      files.push_back(split ? paths_.split("held-out", rm, file_name_of(policy.name)) : scores(rm, policy.name));
    }
    return files;
  }

  std::vector<fs::path> response_files() const {
    std::vector<fs::path> files;
    for (const RecipePolicy& policy : recipe_.policies) files.push_back(paths_.responses(file_name_of(policy.name)));
    return files;
  }

  /// Responses that a retrained model scores: those to held-out prompts (score files carry their texts), or all.
  std::vector<fs::path> measured_responses() const {
    return held_out() ? measured_scores(recipe_.reward_model.name) : response_files();
  }

  void add_prompts() {
    if (!recipe_.prompts) return;
    prepare::PrepareOptions options = *recipe_.prompts;
    options.output = paths_.prompts();
    add({.stage = "prompts", .name = "prompts", .inputs = {options.input}, .outputs = {options.output},
         .settings = settings("prompts"), .run = [options](const StepContext& context) { prepare::prepare(options, context.progress); }});
  }

  void add_responses() {
    for (const RecipePolicy& policy : recipe_.policies) {
      const fs::path prompts = recipe_.prompts ? paths_.prompts() : fs::path();
      const fs::path output = paths_.responses(file_name_of(policy.name));
      if (policy.generation) {
        add_generation(policy, prompts, output);
        continue;
      }
      Step step{.stage = "responses", .name = "responses " + policy.name, .inputs = {policy.responses}, .outputs = {output},
                .settings = {{.name = "policy", .values = {policy.name, policy.split.value_or("")}}}, .run = {}};
      if (recipe_.prompts) step.inputs.push_back(prompts);
      step.run = [policy, prompts, output](const StepContext&) {
        import_responses(policy.responses, policy.split, policy.name, prompts, output);
      };
      add(std::move(step));
    }
  }

  void add_generation(const RecipePolicy& policy, const fs::path& prompts, const fs::path& output) {
    generate::GenerateStageOptions options = *policy.generation;
    options.prompts = prompts;
    options.output = output;
    Step step{.stage = "responses", .name = "responses " + policy.name, .inputs = {prompts}, .outputs = {output},
              .settings = policy.settings, .run = {}};
    step.settings.push_back({.name = "policy", .values = {policy.name, options.model_dir ? "model" : "server"}});
    if (options.model_dir) step.inputs.push_back(*options.model_dir);
    if (options.server.template_file) step.inputs.push_back(*options.server.template_file);
    step.run = [options](const StepContext& context) {
      generate::GenerateStageOptions own = options;
      own.fresh = context.fresh;
      own.replace_other = true;  // the step runs because its inputs or settings changed
      own.embedded.threads = context.threads;
      generate::generate_stage(own, context.progress);
    };
    add(std::move(step));
  }

  void add_scoring(const std::string& stage, const std::string& rm, const fs::path& model_dir,
                   const std::vector<fs::path>& responses) {
    score::ScoreStageOptions options = recipe_.reward_model.score;
    options.model_dir = model_dir;
    options.output = paths_.scores_dir(rm);
    options.responses = responses;
    Step step{.stage = stage, .name = stage + " " + rm, .inputs = {model_dir}, .outputs = {}, .settings = settings("reward_model"),
              .run = {}};
    step.inputs.insert(step.inputs.end(), responses.begin(), responses.end());
    for (const RecipePolicy& policy : recipe_.policies) step.outputs.push_back(scores(rm, policy.name));
    if (options.encoder.template_file) step.inputs.push_back(*options.encoder.template_file);
    step.run = [options](const StepContext& context) {
      score::ScoreStageOptions own = options;
      own.fresh = context.fresh;
      own.replace_other_model = true;  // the step runs because its inputs changed
      own.model.threads = context.threads;
      score::score_stage(own, context.progress);
    };
    add(std::move(step));
  }

  void add_split(const std::string& rm) {
    std::vector<SplitFile> files;
    Step step{.stage = "score", .name = "score " + rm + " split", .inputs = {}, .outputs = {paths_.split_facts(rm)},
              .settings = {{.name = "holdout", .values = {fmt::format("{}", recipe_.holdout)}}}, .run = {}};
    for (const RecipePolicy& policy : recipe_.policies) {
      const std::string name = file_name_of(policy.name);
      files.push_back({scores(rm, policy.name), paths_.split("fit", rm, name), paths_.split("held-out", rm, name)});
      step.inputs.push_back(files.back().scores);
      step.outputs.push_back(files.back().fit);
      step.outputs.push_back(files.back().held_out);
    }
    step.run = [files, seed = recipe_.seed, share = recipe_.holdout, facts = paths_.split_facts(rm)](const StepContext&) {
      split_scores(files, seed, share, facts);
    };
    add(std::move(step));
  }

  void add_measuring(const std::string& stage, const std::string& rm) {
    measure::MeasureOptions options = recipe_.mismatch;
    options.scores = measured_scores(rm);
    options.ratings = recipe_.ratings.file;
    options.category = recipe_.ratings.category;
    options.aliases = recipe_.ratings.aliases;
    options.output = paths_.mismatch(rm);
    if (held_out()) options.prompts = fmt::format("held out of calibration and training (share {})", recipe_.holdout);
    Step step{.stage = stage, .name = stage + " " + rm, .inputs = options.scores, .outputs = {options.output},
              .settings = settings("mismatch"), .run = {}};
    step.inputs.push_back(options.ratings);
    const std::vector<Setting> more = rating_settings();
    step.settings.insert(step.settings.end(), more.begin(), more.end());
    step.run = [options](const StepContext& context) {
      measure::MeasureOptions own = options;
      own.num_threads = static_cast<std::size_t>(context.threads);
      measure::measure(own, context.progress);
    };
    add(std::move(step));
  }

  void add_calibration(const std::string& rm, const RecipeCalibration& calibration) {
    calibrate::CalibrateOptions options = calibration.options;
    options.scores = fit_scores(rm, options.policies);
    options.held_out_scores = held_out_scores(rm, options.policies);
    options.ratings = recipe_.ratings.file;
    options.category = recipe_.ratings.category;
    // An alias of a policy outside the set would name nothing here.
    for (const auto& [policy, name] : recipe_.ratings.aliases) {
      if (std::find(options.policies.begin(), options.policies.end(), policy) != options.policies.end()) {
        options.aliases.emplace(policy, name);
      }
    }
    options.output = paths_.calibration(rm, calibration.set);
    Step step{.stage = "calibrate", .name = "calibrate " + rm + "/" + calibration.set, .inputs = options.scores,
              .outputs = {options.output}, .settings = calibration.settings, .run = {}};
    step.inputs.insert(step.inputs.end(), options.held_out_scores.begin(), options.held_out_scores.end());
    step.inputs.push_back(options.ratings);
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

  void add_preferences(const std::string& rm, const RecipeCalibration& calibration) {
    const std::string& set = calibration.set;
    prefer::PreferOptions options = calibration.preferences;
    options.scores = fit_scores(rm, calibration.options.policies);
    options.calibration = paths_.calibration(rm, set);
    options.output = paths_.preferences(rm, set);
    Step step{.stage = "prefer", .name = "prefer " + rm + "/" + set, .inputs = options.scores, .outputs = {options.output},
              .settings = calibration.preference_settings, .run = {}};
    step.inputs.push_back(options.calibration);
    step.run = [options](const StepContext& context) { prefer::prefer(options, context.progress); };
    add(std::move(step));
  }

  void add_training(const std::string& rm, const RecipeCalibration& calibration) {
    const std::string& set = calibration.set;
    train::TrainOptions options = calibration.training;
    options.model = recipe_.reward_model.score.model_dir;
    options.preferences = paths_.preferences(rm, set);
    options.output = paths_.model(rm, set);
    Step step{.stage = "train", .name = "train " + rm + "/" + set, .inputs = {options.model, options.preferences},
              .outputs = {options.output}, .settings = calibration.training_settings, .run = {}};
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

  /// The reward models of the run by name and folder: the given one, then those trained on from it.
  std::vector<std::pair<std::string, fs::path>> models() const {
    const std::string& rm = recipe_.reward_model.name;
    std::vector<std::pair<std::string, fs::path>> all = {{rm, recipe_.reward_model.score.model_dir}};
    if (!recipe_.trains) return all;
    for (const RecipeCalibration& calibration : recipe_.calibrations) {
      all.emplace_back(retrained_name(rm, calibration.set), paths_.model(rm, calibration.set));
    }
    return all;
  }

  void add_evaluation(const RecipeEvaluation& evaluation) {
    for (const auto& [name, folder] : models()) {
      evaluate::EvaluateOptions options = evaluation.options;
      options.output = paths_.evaluation(name, evaluation.name);
      options.model_name = name;
      Step step{.stage = "evaluate", .name = "evaluate " + name + "/" + evaluation.name, .inputs = {}, .outputs = {options.output},
                .settings = evaluation.settings, .run = {}};
      if (options.benchmark == evaluate::Benchmark::kArena) {
        options.scores = measured_scores(name);
        options.ratings = recipe_.ratings.file;
        if (!recipe_.ratings.category.empty()) options.ratings_category = recipe_.ratings.category;
        options.aliases = recipe_.ratings.aliases;
        step.inputs = options.scores;
        step.inputs.push_back(options.ratings);
        const std::vector<Setting> more = rating_settings();
        step.settings.insert(step.settings.end(), more.begin(), more.end());
      } else {
        options.model_dir = folder;
        step.inputs = options.data;
        step.inputs.push_back(folder);
        const std::vector<Setting>& more = settings("reward_model");
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

  /// The models trained on against the one they come from, on the same rows.
  void add_comparisons(const RecipeEvaluation& evaluation) {
    const std::string& rm = recipe_.reward_model.name;
    for (const RecipeCalibration& calibration : recipe_.calibrations) {
      const std::string after = retrained_name(rm, calibration.set);
      evaluate::CompareOptions options;
      options.runs = {paths_.evaluation(rm, evaluation.name), paths_.evaluation(after, evaluation.name)};
      options.output = paths_.comparison(after, evaluation.name);
      options.bootstrap = evaluation.options.bootstrap;
      options.seed = evaluation.options.seed;
      options.max_bad_rows = evaluation.options.max_bad_rows;
      if (evaluation.options.benchmark == evaluate::Benchmark::kArena) {
        const std::vector<std::string>& calibrated = calibration.options.policies;
        for (const RecipePolicy& policy : recipe_.policies) {
          if (std::find(calibrated.begin(), calibrated.end(), policy.name) == calibrated.end()) options.left_out.push_back(policy.name);
        }
      }
      Step step{.stage = "evaluate", .name = "compare " + after + "/" + evaluation.name, .inputs = options.runs,
                .outputs = {options.output}, .settings = evaluation.settings, .run = {}};
      step.run = [options](const StepContext&) { evaluate::compare(options); };
      add(std::move(step));
    }
  }

  /// After the evaluations, whose saved scores show what other corrections do to the benchmarks.
  void add_explanation(const std::string& rm, const RecipeCalibration& calibration) {
    explain::ExplainOptions options = recipe_.explanation;
    options.scores = fit_scores(rm, calibration.options.policies);
    options.min_prompts = std::min(options.min_prompts, calibration.options.min_prompts);
    options.held_out_scores = held_out_scores(rm, calibration.options.policies);
    if (calibration.options.holdout > 0.0) options.held_out_scores.clear();  // the calibration names its own split
    options.calibration = paths_.calibration(rm, calibration.set);
    options.output = paths_.explanation(rm, calibration.set);
    Step step{.stage = "explain", .name = "explain " + rm + "/" + calibration.set, .inputs = options.scores,
              .outputs = {options.output}, .settings = settings("explain"), .run = {}};
    step.inputs.insert(step.inputs.end(), options.held_out_scores.begin(), options.held_out_scores.end());
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

  void add_report() {
    report::ReportOptions options{.run_dir = paths_.root, .output = paths_.report(), .title = {}};
    Step step{.stage = "report", .name = "report", .inputs = {paths_.world()}, .outputs = {options.output}, .settings = {}, .run = {}};
    for (const Step& earlier : steps_) {
      if (earlier.stage == "prompts" || earlier.stage == "responses") continue;
      step.inputs.insert(step.inputs.end(), earlier.outputs.begin(), earlier.outputs.end());
    }
    step.run = [options](const StepContext& context) { report::write_report(options, context.progress); };
    add(std::move(step));
  }

  const Recipe& recipe_;
  RunPaths paths_;
  std::vector<Step> steps_;
};

}  // namespace

std::span<const std::string_view> stage_names() { return kStages; }

std::vector<Step> make_plan(const Recipe& recipe) { return PlanBuilder(recipe).build(); }

}  // namespace charm::pipeline
