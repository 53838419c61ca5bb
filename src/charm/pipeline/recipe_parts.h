#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "charm/pipeline/recipe.h"

// Readers of the parts of a recipe; for recipe*.cpp only.
namespace charm::pipeline {

/// Throws kInput with file and line.
[[noreturn]] void refuse(const Section& section, int line, const std::string& what);

/// Throws kIo for a path that does not exist and is not a Hub source. Of an option that reads a
/// file Section::assign says the same.
void require_exists(const Section& section, int line, std::string_view key, const fs::path& path);

/// The same for a model folder, see require_model_folder.
void require_model(const Section& section, int line, std::string_view key, const fs::path& path);

/// Settings of a section that is a plain map of a stage's options; an absent section leaves the
/// defaults.
std::vector<Setting> read_settings(const Section& top, const std::string& name,
                                   const OptionTable& table);

/// `policies` and `generate`.
std::vector<RecipePolicy> read_policies(const Section& top, std::uint64_t seed);

/// `calibrate`, with the `prefer` and `train` of each of its sets.
std::vector<RecipeCalibration> read_calibrations(const Section& top, std::uint64_t seed,
                                                 const std::vector<RecipePolicy>& policies);

/// `evaluate`; after policies, votes, reward model and calibrations.
std::vector<RecipeEvaluation> read_evaluations(const Section& top, const Recipe& recipe);

}  // namespace charm::pipeline
