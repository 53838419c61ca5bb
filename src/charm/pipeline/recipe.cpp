#include "charm/pipeline/recipe.h"

#include <algorithm>
#include <cctype>
#include <set>

#include "charm/hub/hub_source.h"
#include "charm/pipeline/model_registry.h"

namespace charm::pipeline {
namespace {

const std::vector<std::string> kTopKeys = {"run_dir",     "seed",        "holdout",     "prompts",  "generation", "policies",  "ratings",
                                           "reward_model", "mismatch",   "calibration", "preferences", "training", "evaluation",
                                           "explain"};

/// A scalar member written where a whole section may stand: `ratings: file.json`.
bool is_scalar(const YamlValue& value) { return value.kind == YamlValue::Kind::kScalar; }

[[noreturn]] void refuse(const Section& section, int line, const std::string& what) {
  throw Error(ErrorKind::kUsage, "{}{}", section.at(line), what);
}

void require_exists(const Section& section, int line, const fs::path& path, std::string_view what) {
  std::error_code error;
  if (!hub::is_hub_source(path.string()) && !fs::exists(path, error)) {
    throw Error(ErrorKind::kIo, "{}{} '{}' does not exist", section.at(line), what, path.string());
  }
}

/// Keys that say how servers are asked, not what they answer: a run may go on with others.
bool is_transport(const Setting& setting) {
  static const std::set<std::string> kTransport = {"server",  "concurrency", "timeout",  "retries",     "wait",
                                                   "patience", "api-key-env", "max-bad-rows", "name",  "model"};
  return kTransport.count(setting.name) != 0;
}

/// The policy's own keys over those of the section `generation`.
void read_generation(const Section& top, const fs::path& file, const Section& section, std::uint64_t seed, RecipePolicy& policy) {
  generate::GenerateStageOptions& options = policy.generation.emplace();
  options.policy = policy.name;
  options.sampling.seed = seed;
  OptionTable table;
  describe_generate(table, options);
  if (const YamlValue* shared = top.find("generation"); shared != nullptr && shared->kind != YamlValue::Kind::kNull) {
    const Section defaults(file, "generation", *shared);
    for (const char* own : {"model", "server", "server-model", "server_model"}) {
      if (defaults.find(own) != nullptr) refuse(defaults, defaults.find(own)->line, fmt::format("generation.{}: belongs to one of the policies", own));
    }
    policy.settings = defaults.assign(table);
  }
  const std::vector<Setting> more = section.assign(table, {"name"});
  policy.settings.insert(policy.settings.end(), more.begin(), more.end());
  std::erase_if(policy.settings, is_transport);
  if (options.model_dir && !options.server.urls.empty()) refuse(section, section.line(), "policies: give either 'model' or 'server'");
  if (options.model_dir) require_exists(section, section.find("model")->line, *options.model_dir, "policy model");
  if (!options.server.urls.empty() && options.server.model.empty()) {
    refuse(section, section.line(), fmt::format("policy '{}': key 'server-model' is missing, the model's name on the servers", policy.name));
  }
}

std::vector<RecipePolicy> read_policies(const Section& top, const fs::path& file, std::uint64_t seed) {
  const YamlValue* list = top.find("policies");
  if (list == nullptr) refuse(top, top.line(), "key 'policies' is missing: list the policies and their responses");
  if (list->kind != YamlValue::Kind::kList) {
    refuse(top, list->line, fmt::format("policies: expected a list, found {}", yaml_kind_name(list->kind)));
  }
  std::vector<RecipePolicy> policies;
  std::set<std::string> names, file_names;
  for (const YamlValue& item : list->items) {
    const Section section(file, "policies", item);
    RecipePolicy policy;
    policy.name = section.text("name");
    const bool generates = section.find("model") != nullptr || section.find("server") != nullptr;
    if (generates && section.find("responses") != nullptr) {
      refuse(section, item.line, fmt::format("policy '{}': give one of 'responses', 'model' and 'server'", policy.name));
    }
    if (generates) {
      if (top.find("prompts") == nullptr) {
        refuse(section, item.line, fmt::format("policy '{}' generates: key 'prompts' is missing, what it is to answer", policy.name));
      }
      read_generation(top, file, section, seed, policy);
    } else {
      OptionTable table;
      table.text("name", policy.name, "NAME", "").path("responses", policy.responses, "FILE", "").text("split", policy.split, "NAME", "");
      section.assign(table);
      if (section.find("responses") == nullptr) {
        refuse(section, item.line,
               fmt::format("policy '{}': expected one of 'responses' (a file), 'model' (a folder) and 'server' (an address)", policy.name));
      }
      section.text("responses");
      require_exists(section, section.find("responses")->line, policy.responses, "responses file");
    }
    if (!names.insert(policy.name).second || !file_names.insert(file_name_of(policy.name)).second) {
      refuse(section, item.line, fmt::format("policy '{}' is listed twice (or as a name that gives the same file)", policy.name));
    }
    policies.push_back(std::move(policy));
  }
  if (policies.size() < 2) {
    refuse(top, list->line, fmt::format("policies: expected at least 2, found {}", policies.size()));
  }
  return policies;
}

RecipeRatings read_recipe_ratings(const Section& top, const fs::path& file) {
  const YamlValue* value = top.find("ratings");
  if (value == nullptr) refuse(top, top.line(), "key 'ratings' is missing: the policies' Arena ratings");
  RecipeRatings ratings;
  if (is_scalar(*value)) {
    ratings.file = resolve_path(file, value->text);
  } else {
    const Section section(file, "ratings", *value);
    OptionTable table;
    table.path("file", ratings.file, "FILE", "");
    describe_ratings(table, ratings.category, ratings.aliases);
    section.assign(table);
    section.text("file");
  }
  require_exists(top, value->line, ratings.file, "ratings file");
  return ratings;
}

RecipeRewardModel read_reward_model(const Section& top, const fs::path& file, std::vector<Setting>& settings) {
  const YamlValue* value = top.find("reward_model");
  if (value == nullptr) refuse(top, top.line(), "key 'reward_model' is missing: the model folder that scores");
  RecipeRewardModel model;
  if (is_scalar(*value)) {
    model.score.model_dir = resolve_path(file, value->text);
  } else {
    const Section section(file, "reward_model", *value);
    OptionTable table;
    table.text("name", model.name, "NAME", "").path("model", model.score.model_dir, "DIR", "");
    describe_score(table, model.score);
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
    const fs::path dir = model.score.model_dir.has_filename() ? model.score.model_dir : model.score.model_dir.parent_path();
    model.name = dir.filename().string();
  }
  model.name = file_name_of(model.name);
  return model;
}

void check_set(const Section& section, RecipeCalibration& calibration, const std::vector<RecipePolicy>& policies) {
  calibrate::CalibrateOptions& options = calibration.options;
  if (options.policies.empty()) {
    for (const RecipePolicy& policy : policies) options.policies.push_back(policy.name);
  }
  const auto known = [&](const std::string& name) {
    return std::any_of(policies.begin(), policies.end(), [&](const RecipePolicy& policy) { return policy.name == name; });
  };
  for (const std::string& name : options.policies) {
    if (!known(name)) refuse(section, section.line(), fmt::format("{}: '{}' is not among the policies", section.name(), name));
  }
  if (options.reference.empty()) refuse(section, section.line(), fmt::format("{}: key 'reference' is missing", section.name()));
  if (!known(options.reference)) {
    refuse(section, section.line(), fmt::format("{}: reference '{}' is not among the policies", section.name(), options.reference));
  }
  if (std::find(options.policies.begin(), options.policies.end(), options.reference) == options.policies.end()) {
    options.policies.push_back(options.reference);
  }
  if (options.policies.size() < 2) {
    refuse(section, section.line(), fmt::format("{}: expected a policy beside the reference", section.name()));
  }
}

/// A name for a set that has none: the over-valued policy and its reference, or "all" where all policies take part.
std::string default_set_name(const calibrate::CalibrateOptions& options, std::size_t num_policies) {
  if (options.policies.size() == num_policies && num_policies > 2) return "all";
  std::string name;
  for (const std::string& policy : options.policies) {
    if (policy != options.reference) name += policy + "-";
  }
  return name + options.reference;
}

/// Settings of a section that is a plain map of a stage's options; an absent section leaves the defaults.
std::vector<Setting> read_settings(const Section& top, const fs::path& file, const std::string& name, const OptionTable& table) {
  const YamlValue* value = top.find(name);
  if (value == nullptr || value->kind == YamlValue::Kind::kNull) return {};
  return Section(file, name, *value).assign(table);
}

/// The keys of the recipe's section `name`, then those that the set has under the same name.
std::vector<Setting> read_overridden(const Section& top, const Section* own, const fs::path& file, const std::string& name,
                                     const OptionTable& table) {
  std::vector<Setting> settings = read_settings(top, file, name, table);
  const YamlValue* value = own == nullptr ? nullptr : own->find(name);
  if (value == nullptr || value->kind == YamlValue::Kind::kNull) return settings;
  const std::vector<Setting> more = Section(file, fmt::format("{}.{}", own->name(), name), *value).assign(table);
  settings.insert(settings.end(), more.begin(), more.end());
  return settings;
}

void read_pairs_and_training(const Section& top, const Section* own, const fs::path& file, std::uint64_t seed,
                             RecipeCalibration& calibration) {
  OptionTable preferences;
  calibration.preferences.pairing.seed = seed;
  describe_prefer(preferences, calibration.preferences);
  calibration.preference_settings = read_overridden(top, own, file, "preferences", preferences);
  OptionTable training;
  calibration.training.seed = seed;
  describe_train(training, calibration.training);
  calibration.training_settings = read_overridden(top, own, file, "training", training);
  if (own != nullptr && own->find("training") != nullptr && top.find("training") == nullptr) {
    refuse(*own, own->find("training")->line,
           fmt::format("{}.training: the recipe has no section 'training' whose keys this could change", own->name()));
  }
}

std::vector<RecipeCalibration> read_calibrations(const Section& top, const fs::path& file, std::uint64_t seed,
                                                 const std::vector<RecipePolicy>& policies) {
  const YamlValue* value = top.find("calibration");
  if (value == nullptr) return {};
  const Section section(file, "calibration", *value);
  const auto read_one = [&](std::string set, const Section* own) {
    RecipeCalibration calibration;
    calibration.set = std::move(set);
    calibration.options.solve.seed = seed;
    OptionTable table;
    describe_calibrate(table, calibration.options);
    calibration.settings = section.assign(table, {"sets"});
    if (own != nullptr) {
      std::vector<Setting> more = own->assign(table, {"preferences", "training"});
      calibration.settings.insert(calibration.settings.end(), more.begin(), more.end());
    }
    check_set(own != nullptr ? *own : section, calibration, policies);
    read_pairs_and_training(top, own, file, seed, calibration);
    if (calibration.set.empty()) calibration.set = default_set_name(calibration.options, policies.size());
    calibration.set = file_name_of(calibration.set);
    return calibration;
  };
  const YamlValue* sets = section.find("sets");
  if (sets == nullptr) return {read_one("", nullptr)};
  std::vector<RecipeCalibration> all;
  std::set<std::string> names;
  const Section list(file, "calibration.sets", *sets);
  for (const YamlMember& member : sets->members) {
    const Section own(file, "calibration.sets." + member.name, member.value);
    all.push_back(read_one(member.name, &own));
    if (!names.insert(all.back().set).second) refuse(own, member.line, "two sets have the same file name");
  }
  if (all.empty()) refuse(section, sets->line, "calibration.sets: expected at least one set");
  return all;
}

std::vector<RecipeEvaluation> read_evaluations(const Section& top, const fs::path& file, const Recipe& recipe) {
  const YamlValue* value = top.find("evaluation");
  if (value == nullptr) return {};
  if (value->kind != YamlValue::Kind::kList) {
    refuse(top, value->line, fmt::format("evaluation: expected a list of benchmarks, found {}", yaml_kind_name(value->kind)));
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
    table.text("name", evaluation.name, "NAME", "").paths("data", evaluation.options.data, "FILE", "");
    describe_evaluate(table, evaluation.options);
    evaluation.settings = section.assign(table, {"benchmark"});
    std::erase_if(evaluation.settings, [](const Setting& setting) { return setting.name == "data"; });
    const std::string benchmark = section.text("benchmark");
    try {
      evaluation.options.benchmark = evaluate::parse_benchmark(benchmark);
    } catch (const Error& error) {
      refuse(section, section.find("benchmark")->line, "evaluation.benchmark: " + error.message());
    }
    evaluation.settings.push_back({.name = "benchmark", .values = {benchmark}});
    const bool arena = evaluation.options.benchmark == evaluate::Benchmark::kArena;
    if (arena && !evaluation.options.data.empty()) {
      refuse(section, item.line, "evaluation: arena takes the run's own scores; leave 'data' out");
    }
    if (!arena && evaluation.options.data.empty()) refuse(section, item.line, "evaluation: key 'data' is missing");
    for (const fs::path& data : evaluation.options.data) require_exists(section, item.line, data, "benchmark file");
    if (evaluation.name.empty()) evaluation.name = benchmark;
    evaluation.name = file_name_of(evaluation.name);
    if (!names.insert(evaluation.name).second) {
      refuse(section, item.line, fmt::format("evaluation: two entries are named '{}'; give one another 'name'", evaluation.name));
    }
    all.push_back(std::move(evaluation));
  }
  return all;
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
    describe_prepare(table, options);
    recipe.settings["prompts"] = section.assign(table);
    section.text("input");
  }
  require_exists(top, value->line, options.input, "prompts file");
}

}  // namespace

std::string file_name_of(std::string_view name) {
  std::string safe(name);
  for (char& c : safe) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '.' && c != '_' && c != '-') c = '_';
  }
  if (safe.empty() || safe == "." || safe == "..") safe = "_";
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
    refuse(top, top.find("holdout")->line, fmt::format("holdout: expected a share from 0 up to 1, found {}", recipe.holdout));
  }
  read_prompts_section(top, recipe);
  recipe.policies = read_policies(top, path, recipe.seed);
  if (const YamlValue* generation = top.find("generation"); generation != nullptr) {
    const bool used = std::any_of(recipe.policies.begin(), recipe.policies.end(), [](const RecipePolicy& p) { return p.generation.has_value(); });
    if (!used) refuse(top, generation->line, "generation: no policy has a 'model' or 'server'");
  }
  recipe.ratings = read_recipe_ratings(top, path);
  recipe.reward_model = read_reward_model(top, path, recipe.settings["reward_model"]);

  recipe.mismatch.seed = recipe.seed;
  OptionTable mismatch_table;
  describe_measure(mismatch_table, recipe.mismatch);
  recipe.settings["mismatch"] = read_settings(top, path, "mismatch", mismatch_table);

  recipe.calibrations = read_calibrations(top, path, recipe.seed, recipe.policies);
  for (const RecipeCalibration& calibration : recipe.calibrations) {
    if (recipe.holdout == 0.0 || calibration.options.holdout == 0.0) continue;
    refuse(top, top.find("holdout")->line,
           fmt::format("holdout: the recipe's {} and calibration's {} exclude each other; keep the recipe's", recipe.holdout,
                       calibration.options.holdout));
  }
  for (const char* name : {"preferences", "training"}) {
    const YamlValue* section = top.find(name);
    if (section == nullptr || !recipe.calibrations.empty()) continue;
    refuse(top, section->line, fmt::format("{}: key 'calibration' is missing: there are no offsets to make pairs from", name));
  }
  recipe.trains = top.find("training") != nullptr;
  recipe.evaluations = read_evaluations(top, path, recipe);

  recipe.explanation.settings.seed = recipe.seed;
  OptionTable explain_table;
  describe_explain(explain_table, recipe.explanation);
  recipe.settings["explain"] = read_settings(top, path, "explain", explain_table);
  if (const YamlValue* section = top.find("explain"); section != nullptr && recipe.calibrations.empty()) {
    refuse(top, section->line, "explain: key 'calibration' is missing: there are no offsets to explain");
  }
  return recipe;
}

}  // namespace charm::pipeline
