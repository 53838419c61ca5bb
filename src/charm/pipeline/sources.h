#pragma once

#include <optional>
#include <string>

#include "charm/base/files.h"
#include "charm/base/progress.h"
#include "charm/pipeline/recipe.h"

// Where options name models of a registry (rm_config.json:NAME), or models and data sets of the Hub
// (hub:OWNER/NAME[@REVISION]): looks them up, downloads them into the cache and puts the local
// place instead. Other paths stay as they are.
namespace charm::pipeline {

void fetch_model_source(fs::path& model, bool offline, const ProgressFn& progress);
void fetch_dataset_source(fs::path& dataset, const std::optional<std::string>& split, bool offline,
                          const ProgressFn& progress);

/// Of a whole recipe: the policies' models, the reward model, the prompts and responses.
void fetch_recipe_sources(Recipe& recipe, bool offline, const ProgressFn& progress);

}  // namespace charm::pipeline
