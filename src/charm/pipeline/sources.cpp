#include "charm/pipeline/sources.h"

#include <algorithm>

#include "charm/base/error.h"
#include "charm/base/log.h"
#include "charm/hub/hub_client.h"
#include "charm/pipeline/recipe.h"

namespace charm::pipeline {

namespace {

/// The base of an adapter that is no folder: from the cache, or downloaded if `download`.
void find_base_of_hub(const fs::path& adapter, fs::path& base, bool download, bool offline,
                      const ProgressFn& progress) {
  const std::string name = engine::base_model_name(adapter);
  const bool is_repository = std::count(name.begin(), name.end(), '/') == 1 &&
                             name.front() != '/' && name.front() != '.' && name.back() != '/';
  if (!is_repository || engine::find_base_model(adapter, name)) return;
  try {
    base = hub::fetch_model(hub::parse_hub_source("hub:" + name),
                            hub::hub_options_of_environment(offline || !download), progress);
    log::info("{}: base model {}: {}", adapter.string(), name, base.string());
  } catch (const Error& error) {
    if (download) throw error.with_context(fmt::format("{}: base model", adapter.string()));
    // Not in the cache: loading says what to give.
  }
}

/// A repository of the Hub is downloaded; what lies in its cache is found there. Another path
/// stays.
fs::path local_folder(const fs::path& source, bool offline, const ProgressFn& progress) {
  if (!hub::is_hub_source(source.string())) return hub::cached_snapshot(source);
  const fs::path folder = hub::fetch_model(hub::parse_hub_source(source.string()),
                                           hub::hub_options_of_environment(offline), progress);
  log::info("{}: {}", source.string(), folder.string());
  return folder;
}

}  // namespace

void fetch_model_source(fs::path& model, engine::ModelSourceOptions& source, bool offline,
                        const ProgressFn& progress) {
  const bool of_hub = hub::is_hub_source(model.string());
  fetch_model_source(model, offline, progress);
  if (!source.adapter.empty() && source.adapter != "none")
    source.adapter = local_folder(source.adapter, offline, progress).string();
  if (!source.base_model.empty()) fetch_model_source(source.base_model, offline, progress);
  if (engine::has_adapter(model) && source.base_model.empty() && !fs::exists(model / "config.json"))
    find_base_of_hub(model, source.base_model, of_hub, offline, progress);
}

void fetch_model_source(fs::path& model, bool offline, const ProgressFn& progress) {
  if (is_registry_source(model)) model = registered_model(model);
  if (model.empty()) return;
  const std::string written = model.string();
  model = local_folder(model, offline, progress);
  if (!hub::is_hub_source(written)) require_model_folder(model, written);
}

void fetch_dataset_source(fs::path& dataset, const std::optional<std::string>& split, bool offline,
                          const ProgressFn& progress) {
  if (!hub::is_hub_source(dataset.string())) return;
  const std::string source = dataset.string();
  dataset = hub::fetch_dataset(hub::parse_hub_source(source), split,
                               hub::hub_options_of_environment(offline), progress);
  log::info("{}: {}", source, dataset.string());
}

void fetch_recipe_sources(Recipe& recipe, bool offline, const ProgressFn& progress) {
  if (recipe.prompts)
    fetch_dataset_source(recipe.prompts->input, recipe.prompts->read.split, offline, progress);
  fetch_dataset_source(recipe.ratings.file, std::nullopt, offline, progress);
  for (RecipePolicy& policy : recipe.policies) {
    if (!policy.responses.empty())
      fetch_dataset_source(policy.responses, policy.split, offline, progress);
    if (policy.generation && policy.generation->model_dir)
      fetch_model_source(*policy.generation->model_dir, policy.generation->embedded.source, offline,
                         progress);
  }
  fetch_model_source(recipe.reward_model.score.model_dir, recipe.reward_model.score.model.source,
                     offline, progress);
}

}  // namespace charm::pipeline
