#pragma once

#include <string>

#include "charm/base/files.h"

// The original project's list of reward models as it is (HexagonStar/CHARM,
// configs/rm_config.json):
//   [{"model_name": "RM-Mistral-7B", "model_path": "weqweasdas/RM-Mistral-7B", "pipeline_class":
//   "LlamaPipeline"}, ...]
// A model of it is named as FILE.json:NAME wherever a model folder is expected.
namespace charm::pipeline {

/// FILE.json or FILE.json:NAME.
bool is_registry_source(const fs::path& model);

/// The NAME of FILE.json:NAME; empty without one.
std::string registered_name(const fs::path& source);

/// The model's place: its `model_path` from the registry's folder or the working directory, or
/// where neither exists and it reads OWNER/NAME, that repository of the Hub (hub:OWNER/NAME). The
/// config of the model says how it is computed, so `pipeline_class` is not needed. Without NAME the
/// only model of the file. Throws kInput for a file that is no such list, and kUsage for a name
/// that it lacks.
fs::path registered_model(const fs::path& source);

}  // namespace charm::pipeline
