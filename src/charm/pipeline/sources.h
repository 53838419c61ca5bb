#pragma once

#include <optional>
#include <string>

#include "charm/base/fs.h"
#include "charm/base/progress.h"
#include "charm/engine/model_source.h"

// Resolves models of a registry (rm_config.json:NAME), and models and data sets of the Hub
// (hub:OWNER/NAME[@REVISION]): downloads them into the cache and replaces the path by the local
// one. Other paths are unchanged.
namespace charm::pipeline {

struct Recipe;

/// Also checks that the folder is there (require_model_folder); an empty path stays empty.
void fetch_model_source(fs::path& model, bool offline, const ProgressFn& progress);

/// The same with its adapter and base. An adapter's base that is no folder is taken from the cache
/// of the Hub or, where the adapter is of the Hub itself, downloaded.
void fetch_model_source(fs::path& model, engine::ModelSourceOptions& source, bool offline,
                        const ProgressFn& progress);
void fetch_dataset_source(fs::path& dataset, const std::optional<std::string>& split, bool offline,
                          const ProgressFn& progress);

/// All sources of a recipe: the policies' models, the reward model, prompts and responses.
void fetch_recipe_sources(Recipe& recipe, bool offline, const ProgressFn& progress);

// The original project's list of reward models, used unchanged (HexagonStar/CHARM,
// configs/rm_config.json):
//   [{"model_name": "RM-Mistral-7B", "model_path": "weqweasdas/RM-Mistral-7B", "pipeline_class":
//   "LlamaPipeline"}, ...]
// A model of it is named as FILE.json:NAME wherever a model folder is expected.

/// Throws kIo with what is there instead and what to write: for a repository of the Hub without
/// "hub:", a missing folder, a file, a folder without a model.
/// @param written  as the user wrote it: a recipe's paths are relative to its folder
void require_model_folder(const fs::path& model, const std::string& written);

/// FILE.json or FILE.json:NAME.
bool is_registry_source(const fs::path& model);

/// The NAME of FILE.json:NAME; empty without one.
std::string registered_name(const fs::path& source);

/// The model's folder: its `model_path` relative to the registry's folder or the working directory;
/// if neither exists and it has the form OWNER/NAME, that repository of the Hub (hub:OWNER/NAME).
/// `pipeline_class` is not needed: the model's config determines the architecture. Without NAME,
/// the only model of the file. Throws kInput for a file of another form, and kUsage for an unknown
/// name.
fs::path registered_model(const fs::path& source);

}  // namespace charm::pipeline
