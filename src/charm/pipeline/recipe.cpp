#include <algorithm>
#include <cctype>
#include <set>

#include "charm/hub/hub_cache.h"
#include "charm/pipeline/recipe_parts.h"
#include "charm/pipeline/sources.h"
#include "charm/storage/ratings.h"

namespace charm::pipeline {
namespace {

const std::vector<std::string> kTopKeys = {
    "run_dir",     "seed",     "holdout",      "prompts",  "generation",
    "policies",    "ratings",  "reward_model", "mismatch", "calibration",
    "preferences", "training", "evaluation",   "explain"};

/// A scalar in place of a section: `ratings: file.json`.
bool is_scalar(const YamlValue& value) { return value.kind == YamlValue::Kind::kScalar; }

RecipeRatings read_recipe_ratings(const Section& top, const fs::path& file) {
  const YamlValue* value = top.find("ratings");
  if (value == nullptr)
    refuse(top, top.line(), "key 'ratings' is missing: the policies' Arena ratings");
  RecipeRatings ratings;
  if (is_scalar(*value)) {
    ratings.file = resolve_path(file, value->text);
  } else {
    const Section section(file, "ratings", *value);
    OptionTable table;
    table.path("file", ratings.file, "FILE", "");
    storage::describe_ratings(table, ratings.category, ratings.date, ratings.aliases);
    section.assign(table);
    section.text("file");
  }
  require_exists(top, value->line, ratings.file, "ratings file");
  return ratings;
}

RecipeRewardModel read_reward_model(const Section& top, const fs::path& file,
                                    std::vector<Setting>& settings) {
  const YamlValue* value = top.find("reward_model");
  if (value == nullptr)
    refuse(top, top.line(), "key 'reward_model' is missing: the model folder that scores");
  RecipeRewardModel model;
  if (is_scalar(*value)) {
    model.score.model_dir = resolve_path(file, value->text);
  } else {
    const Section section(file, "reward_model", *value);
    OptionTable table;
    table.text("name", model.name, "NAME", "").path("model", model.score.model_dir, "DIR", "");
    describe_settings(table, model.score);
    settings = section.assign(table);
    std::erase_if(settings, [](const Setting& setting) { return setting.name == "model"; });
    section.text("model");
  }
  if (is_registry_source(model.score.model_dir)) {
    if (model.name.empty()) model.name = registered_name(model.score.model_dir);
    try {
      model.score.model_dir = registered_model(model.score.model_dir);
    } catch (const Error& error) {
      throw error.with_context(fmt::format("{}reward_model", top.at(value->line)));
    }
  }
  require_exists(top, value->line, model.score.model_dir, "reward model");
  if (model.name.empty()) {
    const fs::path dir = model.score.model_dir.has_filename() ? model.score.model_dir
                                                              : model.score.model_dir.parent_path();
    model.name = dir.filename().string();
  }
  model.name = file_name_of(model.name);
  return model;
}

std::vector<RecipeEvaluation> read_evaluations(const Section& top, const fs::path& file,
                                               const Recipe& recipe) {
  const YamlValue* value = top.find("evaluation");
  if (value == nullptr) return {};
  if (value->kind != YamlValue::Kind::kList) {
    refuse(top, value->line,
           fmt::format("evaluation: expected a list of benchmarks, found {}",
                       yaml_kind_name(value->kind)));
  }
  std::vector<RecipeEvaluation> all;
  std::set<std::string> names;
  for (const YamlValue& item : value->items) {
    const Section section(file, "evaluation", item);
    RecipeEvaluation evaluation;
    evaluation.options.seed = recipe.seed;
    evaluation.options.model = recipe.reward_model.score.model;
    evaluation.options.encoder = recipe.reward_model.score.encoder;
    evaluation.options.scorer = recipe.reward_model.score.scorer;
    OptionTable table;
    table.text("name", evaluation.name, "NAME", "")
        .paths("data", evaluation.options.data, "FILE", "");
    describe_settings(table, evaluation.options);
    evaluation.settings = section.assign(table, {"benchmark"});
    std::erase_if(evaluation.settings,
                  [](const Setting& setting) { return setting.name == "data"; });
    const std::string benchmark = section.text("benchmark");
    try {
      evaluation.options.benchmark = evaluate::parse_benchmark(benchmark);
    } catch (const Error& error) {
      refuse(section, section.find("benchmark")->line, "evaluation.benchmark: " + error.message());
    }
    evaluation.settings.push_back({.name = "benchmark", .values = {benchmark}});
    const bool arena = evaluation.options.benchmark == evaluate::Benchmark::kArena;
    if (arena && !evaluation.options.data.empty()) {
      refuse(section, item.line, "evaluation: arena uses the run's own scores; remove 'data'");
    }
    if (!arena && evaluation.options.data.empty())
      refuse(section, item.line, "evaluation: key 'data' is missing");
    for (const fs::path& data : evaluation.options.data)
      require_exists(section, item.line, data, "benchmark file");
    if (evaluation.name.empty()) evaluation.name = benchmark;
    evaluation.name = file_name_of(evaluation.name);
    if (!names.insert(evaluation.name).second) {
      refuse(section, item.line,
             fmt::format("evaluation: two entries are named '{}'; give one another 'name'",
                         evaluation.name));
    }
    all.push_back(std::move(evaluation));
  }
  return all;
}

/// Every stage would warn of an alias that names none of the policies: it is said once and dropped.
void drop_unused_aliases(Recipe& recipe) {
  std::vector<std::string> names;
  for (const RecipePolicy& policy : recipe.policies) names.push_back(policy.name);
  storage::warn_about_aliases(recipe.ratings.aliases, names);
  std::erase_if(recipe.ratings.aliases, [&names](const auto& alias) {
    return std::find(names.begin(), names.end(), alias.first) == names.end();
  });
}

void read_prompts_section(const Section& top, Recipe& recipe) {
  const YamlValue* value = top.find("prompts");
  if (value == nullptr) return;
  prepare::PrepareOptions& options = recipe.prompts.emplace();
  if (is_scalar(*value)) {
    options.input = resolve_path(recipe.file, value->text);
  } else {
    const Section section(recipe.file, "prompts", *value);
    OptionTable table;
    table.path("input", options.input, "FILE", "");
    describe_settings(table, options);
    recipe.settings["prompts"] = section.assign(table);
    section.text("input");
  }
  require_exists(top, value->line, options.input, "prompts file");
}

}  // namespace

void refuse(const Section& section, int line, const std::string& what) {
  throw Error(ErrorKind::kUsage, "{}{}", section.at(line), what);
}

void require_exists(const Section& section, int line, const fs::path& path, std::string_view what) {
  std::error_code error;
  if (!hub::is_hub_source(path.string()) && !fs::exists(path, error)) {
    throw Error(ErrorKind::kIo, "{}{} '{}' does not exist", section.at(line), what, path.string());
  }
}

/// Settings of a section that is a plain map of a stage's options; an absent section leaves the
/// defaults.
std::vector<Setting> read_settings(const Section& top, const fs::path& file,
                                   const std::string& name, const OptionTable& table) {
  const YamlValue* value = top.find(name);
  if (value == nullptr || value->kind == YamlValue::Kind::kNull) return {};
  return Section(file, name, *value).assign(table);
}

std::string file_name_of(std::string_view name) {
  std::string safe(name);
  for (char& c : safe) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '.' && c != '_' && c != '-')
      c = '_';
  }
  if (safe.empty() || safe == "." || safe == "..") safe.assign(1, '_');
  return safe;
}

Recipe read_recipe(const fs::path& path) {
  const YamlValue document = read_yaml(path);
  const Section top(path, "the recipe", document);
  Recipe recipe;
  recipe.file = path;
  OptionTable table;
  table.path("run-dir", recipe.run_dir, "DIR", "")
      .integer("seed", recipe.seed, "S", "")
      .number("holdout", recipe.holdout, "X", "");
  std::vector<std::string> others;
  for (const std::string& key : kTopKeys) {
    if (table.find(key) == nullptr) others.push_back(key);
  }
  top.assign(table, others);
  top.text("run_dir");
  if (recipe.holdout < 0.0 || recipe.holdout >= 1.0) {
    refuse(top, top.find("holdout")->line,
           fmt::format("holdout: expected a share from 0 up to 1, found {}", recipe.holdout));
  }
  read_prompts_section(top, recipe);
  recipe.policies = read_policies(top, path, recipe.seed);
  if (const YamlValue* generation = top.find("generation"); generation != nullptr) {
    const bool used = std::any_of(recipe.policies.begin(), recipe.policies.end(),
                                  [](const RecipePolicy& p) { return p.generation.has_value(); });
    if (!used) refuse(top, generation->line, "generation: no policy has a 'model' or 'server'");
  }
  recipe.ratings = read_recipe_ratings(top, path);
  drop_unused_aliases(recipe);
  recipe.reward_model = read_reward_model(top, path, recipe.settings["reward_model"]);

  recipe.mismatch.seed = recipe.seed;
  OptionTable mismatch_table;
  describe_settings(mismatch_table, recipe.mismatch);
  recipe.settings["mismatch"] = read_settings(top, path, "mismatch", mismatch_table);

  recipe.calibrations = read_calibrations(top, path, recipe.seed, recipe.policies);
  for (const RecipeCalibration& calibration : recipe.calibrations) {
    if (recipe.holdout == 0.0 || calibration.options.holdout == 0.0) continue;
    refuse(
        top, top.find("holdout")->line,
        fmt::format(
            "holdout: the recipe's {} and calibration's {} exclude each other; keep the recipe's",
            recipe.holdout, calibration.options.holdout));
  }
  for (const char* name : {"preferences", "training"}) {
    const YamlValue* section = top.find(name);
    if (section == nullptr || !recipe.calibrations.empty()) continue;
    refuse(top, section->line,
           fmt::format("{}: key 'calibration' is missing: no offsets to build pairs from", name));
  }
  recipe.trains = top.find("training") != nullptr;
  recipe.evaluations = read_evaluations(top, path, recipe);

  recipe.explanation.settings.seed = recipe.seed;
  OptionTable explain_table;
  describe_settings(explain_table, recipe.explanation);
  recipe.settings["explain"] = read_settings(top, path, "explain", explain_table);
  if (const YamlValue* section = top.find("explain");
      section != nullptr && recipe.calibrations.empty()) {
    refuse(top, section->line, "explain: key 'calibration' is missing: no offsets to explain");
  }
  return recipe;
}

}  // namespace charm::pipeline
