#include "charm/pipeline/sources.h"

#include "charm/base/log.h"
#include "charm/hub/hub_client.h"
#include "charm/pipeline/recipe.h"

namespace charm::pipeline {

void fetch_model_source(fs::path& model, bool offline, const ProgressFn& progress) {
  if (is_registry_source(model)) model = registered_model(model);
  if (!hub::is_hub_source(model.string())) return;
  const std::string source = model.string();
  model = hub::fetch_model(hub::parse_hub_source(source), hub::hub_options_of_environment(offline),
                           progress);
  log::info("{}: {}", source, model.string());
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
      fetch_model_source(*policy.generation->model_dir, offline, progress);
  }
  fetch_model_source(recipe.reward_model.score.model_dir, offline, progress);
}

}  // namespace charm::pipeline
