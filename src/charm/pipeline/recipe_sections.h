#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "charm/pipeline/recipe.h"

// The keys of a recipe's sections: what the reader accepts and docs/recipes.md lists.
namespace charm::pipeline {

/// Sections with the name of their command; the former name is accepted with a note.
struct SectionName {
  std::string_view name;    ///< "calibrate"
  std::string_view former;  ///< "calibration"; empty: none
};
const std::vector<SectionName>& section_names();

/// Renames the sections of a recipe that have their former names, also those of a set. @return what
/// was renamed: "calibration -> calibrate". Throws kInput for a section given under both names.
std::vector<std::string> rename_sections(YamlValue& recipe, const fs::path& file);

void describe_top(OptionTable& table, Recipe& recipe);
void describe_prepare(OptionTable& table, prepare::PrepareOptions& options);
/// Of a policy with existing responses; one that generates has the keys of `generate`.
void describe_policy(OptionTable& table, RecipePolicy& policy);
void describe_ratings_section(OptionTable& table, RecipeRatings& ratings);
void describe_score(OptionTable& table, RecipeRewardModel& model);
void describe_calibration(OptionTable& table, RecipeCalibration& calibration);
void describe_evaluation(OptionTable& table, RecipeEvaluation& evaluation);

/// docs/recipes.md: every key of every section as Markdown (`charm --help-recipe`).
std::string recipe_reference();

}  // namespace charm::pipeline
