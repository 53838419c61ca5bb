#pragma once

#include <optional>
#include <string>

#include "charm/base/files.h"
#include "charm/base/progress.h"
#include "charm/pipeline/recipe.h"

// Resolves models of a registry (rm_config.json:NAME), and models and data sets of the Hub
// (hub:OWNER/NAME[@REVISION]): downloads them into the cache and replaces the path by the local
// one. Other paths are unchanged.
namespace charm::pipeline {

void fetch_model_source(fs::path& model, bool offline, const ProgressFn& progress);
void fetch_dataset_source(fs::path& dataset, const std::optional<std::string>& split, bool offline,
                          const ProgressFn& progress);

/// All sources of a recipe: the policies' models, the reward model, prompts and responses.
void fetch_recipe_sources(Recipe& recipe, bool offline, const ProgressFn& progress);

}  // namespace charm::pipeline
