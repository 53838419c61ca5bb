#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <set>
#include <utility>

#include "charm/base/log.h"
#include "charm/hub/hub_cache.h"
#include "charm/hub/hub_client.h"
#include "charm/pipeline/recipe_parts.h"
#include "charm/pipeline/recipe_sections.h"
#include "charm/pipeline/sources.h"
#include "charm/storage/ratings.h"

namespace charm::pipeline {
namespace {

/// A scalar in place of a section: `ratings: file.json`.
bool is_scalar(const YamlValue& value) { return value.kind == YamlValue::Kind::kScalar; }

RecipeRatings read_recipe_ratings(const Section& top) {
  const YamlValue* value = top.find("ratings");
  if (value == nullptr)
    refuse(top, top.line(), "key 'ratings' is missing: the policies' Arena ratings");
  RecipeRatings ratings;
  if (is_scalar(*value)) {
    ratings.file = resolve_path(top.file(), value->text);
    require_exists(top, value->line, "ratings", ratings.file);
  } else {
    const Section section = top.child("ratings", *value);
    OptionTable table;
    describe_ratings_section(table, ratings);
    section.assign(table);
    section.text("file");
  }
  return ratings;
}

/// Those of the responses, which the run copies to the usual columns.
bool is_column(const Setting& setting) { return setting.name.ends_with("-column"); }

RecipeRewardModel read_reward_model(const Section& top, std::vector<Setting>& settings) {
  const YamlValue* value = top.find("score");
  if (value == nullptr)
    refuse(top, top.line(), "key 'score' is missing: the reward model's folder that scores");
  RecipeRewardModel model;
  if (is_scalar(*value)) {
    model.score.model_dir = resolve_path(top.file(), value->text);
  } else {
    const Section section = top.child("score", *value);
    OptionTable table;
    describe_score(table, model);
    settings = section.assign(table);
    std::erase_if(settings, [](const Setting& setting) {
      return setting.name == "model" || is_column(setting);
    });
    section.text("model");
  }
  if (is_registry_source(model.score.model_dir)) {
    if (model.name.empty()) model.name = registered_name(model.score.model_dir);
    top.check_at(value->line, "score",
                 [&] { model.score.model_dir = registered_model(model.score.model_dir); });
  }
  require_model(top, value->line, "score", model.score.model_dir);
  if (model.name.empty()) {
    const fs::path dir = model.score.model_dir.has_filename() ? model.score.model_dir
                                                              : model.score.model_dir.parent_path();
    model.name = dir.filename().string();
  }
  model.name = file_name_of(model.name);
  return model;
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

/// The columns of section `score` are those of every policy's responses that does not name its own.
void share_columns(Recipe& recipe) {
  const auto fill = [](std::optional<std::string>& own, const std::optional<std::string>& shared) {
    if (!own) own = shared;
  };
  storage::ColumnNames shared = std::exchange(recipe.reward_model.score.columns, {});
  for (RecipePolicy& policy : recipe.policies) {
    fill(policy.columns.prompt, shared.prompt);
    fill(policy.columns.response, shared.response);
    fill(policy.columns.policy, shared.policy);
  }
}

void read_prompts_section(const Section& top, Recipe& recipe) {
  const YamlValue* value = top.find("prepare");
  if (value == nullptr) return;
  prepare::PrepareOptions& options = recipe.prompts.emplace();
  if (is_scalar(*value)) {
    options.input = resolve_path(recipe.file, value->text);
    require_exists(top, value->line, "prepare", options.input);
  } else {
    const Section section = top.child("prepare", *value);
    OptionTable table;
    describe_prepare(table, options);
    recipe.settings["prepare"] = section.assign(table);
    section.text("input");
  }
  top.check_at(value->line, "prepare", [&] { prepare::check_settings(options); });
}

/// A run makes its folder, so nothing else may stand in its place. Nothing is written here.
void require_run_dir(const Section& top, const fs::path& run_dir) {
  const int line = top.find("run_dir")->line;
  std::error_code error;
  fs::path nearest = fs::absolute(run_dir, error).lexically_normal();
  while (!fs::exists(nearest, error) && nearest != nearest.parent_path())
    nearest = nearest.parent_path();
  if (!fs::is_directory(nearest, error)) {
    throw Error(ErrorKind::kIo, "{}run_dir: '{}' is a file; expected a folder, or a name for one",
                top.at(line), nearest.string());
  }
  if (fs::exists(run_dir / "config.json", error)) {
    throw Error(ErrorKind::kInput,
                "{}run_dir: '{}' is a model folder; expected a folder of its own", top.at(line),
                run_dir.string());
  }
  if (access(nearest.c_str(), W_OK | X_OK) != 0) {
    throw Error(ErrorKind::kIo, "{}run_dir: cannot write into '{}'", top.at(line),
                nearest.string());
  }
}

void read_top(const Section& top, Recipe& recipe) {
  OptionTable table;
  describe_top(table, recipe);
  std::vector<std::string> others = {"policies", "ratings"};
  for (const SectionName& section : section_names()) others.emplace_back(section.name);
  top.assign(table, others);
  top.text("run_dir");
  require_run_dir(top, recipe.run_dir);
}

void check_generation(const Section& top, const Recipe& recipe) {
  const YamlValue* generation = top.find("generate");
  if (generation == nullptr) return;
  const bool used = std::any_of(recipe.policies.begin(), recipe.policies.end(),
                                [](const RecipePolicy& p) { return p.generation.has_value(); });
  if (!used) refuse(top, generation->line, "generate: no policy has a 'model' or 'server'");
}

void read_recipe_calibrations(const Section& top, Recipe& recipe) {
  recipe.calibrations = read_calibrations(top, recipe.seed, recipe.policies);
  for (const RecipeCalibration& calibration : recipe.calibrations) {
    if (recipe.holdout == 0.0 || calibration.options.holdout == 0.0) continue;
    refuse(top, top.find("holdout")->line,
           fmt::format(
               "holdout: the recipe's {} and calibrate's {} exclude each other; keep the recipe's",
               recipe.holdout, calibration.options.holdout));
  }
}

/// Sections that need offsets.
void require_calibration(const Section& top) {
  if (top.find("calibrate") != nullptr) return;
  for (const auto& [name, what] :
       {std::pair{"prefer", "build pairs from"}, std::pair{"train", "build pairs from"},
        std::pair{"explain", "explain"}}) {
    const YamlValue* section = top.find(name);
    if (section == nullptr) continue;
    top.problems().collect([&, name = name, what = what] {
      refuse(top, section->line,
             fmt::format("{}: key 'calibrate' is missing: no offsets to {}", name, what));
    });
  }
}

/// Sections that are a plain map of a stage's options.
template <typename Options>
void read_plain_section(const Section& top, Recipe& recipe, const std::string& name,
                        Options& options) {
  OptionTable table;
  describe_settings(table, options);
  recipe.settings[name] = read_settings(top, name, table);
}

/// Every section; what is wrong in one is a problem and the next is read.
void read_document(const Section& top, Recipe& recipe) {
  Problems& problems = top.problems();
  problems.collect([&] { read_top(top, recipe); });
  problems.collect([&] { read_prompts_section(top, recipe); });
  problems.collect([&] { recipe.policies = read_policies(top, recipe.seed); });
  problems.collect([&] { check_generation(top, recipe); });
  problems.collect([&] { recipe.ratings = read_recipe_ratings(top); });
  drop_unused_aliases(recipe);
  problems.collect([&] { recipe.reward_model = read_reward_model(top, recipe.settings["score"]); });
  share_columns(recipe);
  recipe.mismatch.seed = recipe.seed;
  problems.collect([&] { read_plain_section(top, recipe, "measure", recipe.mismatch); });
  problems.collect([&] { read_recipe_calibrations(top, recipe); });
  require_calibration(top);
  recipe.trains = top.find("train") != nullptr;
  problems.collect([&] { recipe.evaluations = read_evaluations(top, recipe); });
  recipe.explanation.settings.seed = recipe.seed;
  problems.collect([&] { read_plain_section(top, recipe, "explain", recipe.explanation); });
  recipe.report.seed = recipe.seed;
  problems.collect([&] { read_plain_section(top, recipe, "report", recipe.report); });
}

}  // namespace

void refuse(const Section& section, int line, const std::string& what) {
  throw Error(ErrorKind::kInput, "{}{}", section.at(line), what);
}

void require_exists(const Section& section, int line, std::string_view key, const fs::path& path) {
  std::error_code error;
  if (!hub::is_hub_source(path.string()) && !fs::exists(path, error)) {
    throw Error(ErrorKind::kIo, "{}{}: '{}' does not exist", section.at(line), key, path.string());
  }
}

void require_model(const Section& section, int line, std::string_view key, const fs::path& path) {
  if (hub::is_hub_source(path.string())) return;
  const fs::path written = path.lexically_proximate(section.file().parent_path());
  section.check_at(line, key,
                   [&] { require_model_folder(hub::cached_snapshot(path), written.string()); });
}

std::vector<Setting> read_settings(const Section& top, const std::string& name,
                                   const OptionTable& table) {
  const YamlValue* value = top.find(name);
  if (value == nullptr || value->kind == YamlValue::Kind::kNull) return {};
  return top.child(name, *value).assign(table);
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
  Problems problems;
  Recipe recipe = read_recipe(path, problems);
  problems.throw_first();
  return recipe;
}

Recipe read_recipe(const fs::path& path, Problems& problems) {
  Recipe recipe;
  recipe.file = path;
  problems.collect([&] {
    YamlValue document = read_yaml(path);
    const std::vector<std::string> renamed = rename_sections(document, path);
    if (!renamed.empty()) {
      log::info("{}: sections are called as the commands: {} (the former names are accepted)",
                path.string(), fmt::join(renamed, ", "));
    }
    read_document(Section(path, std::string(Section::kTop), document, problems), recipe);
  });
  return recipe;
}

}  // namespace charm::pipeline
