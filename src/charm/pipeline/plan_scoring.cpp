#include "charm/hub/hub_cache.h"
#include "charm/pipeline/plan_builder.h"
#include "charm/pipeline/split.h"

// From prompts to measured scores.
namespace charm::pipeline {

void PlanBuilder::add(Step step) {
  step.settings.push_back({.name = "recipe seed", .values = {std::to_string(recipe_.seed)}});
  steps_.push_back(std::move(step));
}

const std::vector<Setting>& PlanBuilder::settings(const std::string& section) const {
  static const std::vector<Setting> kNone;
  const auto found = recipe_.settings.find(section);
  return found == recipe_.settings.end() ? kNone : found->second;
}

std::vector<Setting> PlanBuilder::rating_settings() const {
  std::vector<Setting> all = {{.name = "category", .values = {recipe_.ratings.category}}};
  if (!recipe_.ratings.date.empty())
    all.push_back({.name = "date", .values = {recipe_.ratings.date}});
  for (const auto& [policy, name] : recipe_.ratings.aliases)
    all.push_back({.name = "alias", .values = {policy, name}});
  return all;
}

fs::path PlanBuilder::scores(const std::string& rm, const std::string& policy) const {
  return score::score_file(paths_.scores_dir(rm), policy);
}

std::vector<fs::path> PlanBuilder::fit_scores(const std::string& rm,
                                              const std::vector<std::string>& policies) const {
  std::vector<fs::path> files;
  for (const RecipePolicy& policy : recipe_.policies) {
    if (std::find(policies.begin(), policies.end(), policy.name) == policies.end()) continue;
    const std::string name = file_name_of(policy.name);
    files.push_back(held_out() ? paths_.split("fit", rm, name) : scores(rm, policy.name));
  }
  return files;
}

std::vector<fs::path> PlanBuilder::held_out_scores(const std::string& rm,
                                                   const std::vector<std::string>& policies) const {
  std::vector<fs::path> files;
  if (!held_out()) return files;
  for (const std::string& policy : policies)
    files.push_back(paths_.split("held-out", rm, file_name_of(policy)));
  return files;
}

std::vector<fs::path> PlanBuilder::measured_scores(const std::string& rm) const {
  const bool split = held_out() && rm == recipe_.reward_model.name;
  std::vector<fs::path> files;
  for (const RecipePolicy& policy : recipe_.policies) {
    files.push_back(split ? paths_.split("held-out", rm, file_name_of(policy.name))
                          : scores(rm, policy.name));
  }
  return files;
}

std::vector<fs::path> PlanBuilder::response_files() const {
  std::vector<fs::path> files;
  for (const RecipePolicy& policy : recipe_.policies)
    files.push_back(paths_.responses(file_name_of(policy.name)));
  return files;
}

std::vector<fs::path> PlanBuilder::measured_responses() const {
  return held_out() ? measured_scores(recipe_.reward_model.name) : response_files();
}

void PlanBuilder::add_prompts() {
  if (!recipe_.prompts) return;
  prepare::PrepareOptions options = *recipe_.prompts;
  options.output = paths_.prompts();
  add({.stage = "prompts",
       .name = "prompts",
       .inputs = {options.input},
       .outputs = {options.output},
       .settings = settings("prepare"),
       .run = [options](const StepContext& context) {
         prepare::prepare(options, context.progress);
       }});
}

void PlanBuilder::add_responses() {
  for (const RecipePolicy& policy : recipe_.policies) {
    const fs::path prompts = recipe_.prompts ? paths_.prompts() : fs::path();
    const fs::path output = paths_.responses(file_name_of(policy.name));
    if (policy.generation) {
      add_generation(policy, prompts, output);
      continue;
    }
    Step step{.stage = "responses",
              .name = "responses " + policy.name,
              .inputs = {policy.responses},
              .outputs = {output},
              .settings = {{.name = "policy", .values = {policy.name, policy.split.value_or("")}}},
              .run = {}};
    if (recipe_.prompts) step.inputs.push_back(prompts);
    for (const auto& [key, column] : {std::pair("prompt-column", policy.columns.prompt),
                                      std::pair("response-column", policy.columns.response),
                                      std::pair("policy-column", policy.columns.policy)}) {
      if (column) step.settings.push_back({.name = key, .values = {*column}});
    }
    step.run = [policy, prompts, output](const StepContext&) {
      import_responses(policy.responses, {.split = policy.split, .columns = policy.columns},
                       policy.name, prompts, output);
    };
    add(std::move(step));
  }
}

void PlanBuilder::add_generation(const RecipePolicy& policy, const fs::path& prompts,
                                 const fs::path& output) {
  generate::GenerateStageOptions options = *policy.generation;
  options.prompts = prompts;
  options.output = output;
  Step step{.stage = "responses",
            .name = "responses " + policy.name,
            .inputs = {prompts},
            .outputs = {output},
            .settings = policy.settings,
            .run = {}};
  step.settings.push_back(
      {.name = "policy", .values = {policy.name, options.model_dir ? "model" : "server"}});
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

engine::ModelSourceOptions PlanBuilder::source_of(const fs::path& model_dir) const {
  const score::ScoreStageOptions& given = recipe_.reward_model.score;
  if (model_dir == given.model_dir) return given.model.source;
  return {};  // a retrained model, which has the adapter in its weights
}

std::vector<fs::path> PlanBuilder::model_inputs(const fs::path& model_dir) const {
  const engine::ModelSourceOptions source = source_of(model_dir);
  const bool is_fetched = !hub::is_hub_source(source.adapter);  // not in a dry run
  if (!is_fetched || (!engine::has_adapter(model_dir) && source.adapter.empty()))
    return {model_dir};
  return engine::resolve_model_source(model_dir, source).folders();
}

void PlanBuilder::add_scoring(const std::string& stage, const std::string& rm,
                              const fs::path& model_dir, const std::vector<fs::path>& responses) {
  score::ScoreStageOptions options = recipe_.reward_model.score;
  options.model_dir = model_dir;
  options.model.source = source_of(model_dir);
  options.output = paths_.scores_dir(rm);
  options.responses = responses;
  Step step{.stage = stage,
            .name = stage + " " + rm,
            .inputs = model_inputs(model_dir),
            .outputs = {},
            .settings = settings("score"),
            .run = {}};
  step.inputs.insert(step.inputs.end(), responses.begin(), responses.end());
  for (const RecipePolicy& policy : recipe_.policies)
    step.outputs.push_back(scores(rm, policy.name));
  if (options.encoder.template_file) step.inputs.push_back(*options.encoder.template_file);
  step.run = [options](const StepContext& context) {
    score::ScoreStageOptions own = options;
    own.fresh = context.fresh;
    own.replace_other_model = true;  // the step runs because its inputs changed
    own.model.threads = context.threads;
    const score::ScoreStageResult result = score::score_stage(own, context.progress);
    if (result.num_reused > 0) context.note(score::reuse_text(result));
  };
  step.reuses_outputs = true;
  add(std::move(step));
}

void PlanBuilder::add_split(const std::string& rm) {
  std::vector<SplitFile> files;
  Step step{.stage = "score",
            .name = "score " + rm + " split",
            .inputs = {},
            .outputs = {paths_.split_facts(rm)},
            .settings = {{.name = "holdout", .values = {fmt::format("{}", recipe_.holdout)}}},
            .run = {}};
  for (const RecipePolicy& policy : recipe_.policies) {
    const std::string name = file_name_of(policy.name);
    files.push_back({scores(rm, policy.name), paths_.split("fit", rm, name),
                     paths_.split("held-out", rm, name)});
    step.inputs.push_back(files.back().scores);
    step.outputs.push_back(files.back().fit);
    step.outputs.push_back(files.back().held_out);
  }
  step.run = [files, seed = recipe_.seed, share = recipe_.holdout, facts = paths_.split_facts(rm)](
                 const StepContext&) { split_scores(files, seed, share, facts); };
  add(std::move(step));
}

void PlanBuilder::add_measuring(const std::string& stage, const std::string& rm) {
  measure::MeasureOptions options = recipe_.mismatch;
  options.scores = measured_scores(rm);
  options.ratings = recipe_.ratings.file;
  options.category = recipe_.ratings.category;
  options.date = recipe_.ratings.date;
  options.aliases = recipe_.ratings.aliases;
  options.output = paths_.mismatch(rm);
  if (held_out())
    options.prompts =
        fmt::format("held out of calibration and training (share {})", recipe_.holdout);
  Step step{.stage = stage,
            .name = stage + " " + rm,
            .inputs = options.scores,
            .outputs = {options.output},
            .settings = settings("measure"),
            .run = {}};
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

}  // namespace charm::pipeline
