#pragma once

#include <string>

#include "charm/base/files.h"

// The original project's list of reward models, used unchanged (HexagonStar/CHARM,
// configs/rm_config.json):
//   [{"model_name": "RM-Mistral-7B", "model_path": "weqweasdas/RM-Mistral-7B", "pipeline_class":
//   "LlamaPipeline"}, ...]
// A model of it is named as FILE.json:NAME wherever a model folder is expected.
namespace charm::pipeline {

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
