#pragma once

#include <optional>
#include <string>
#include <vector>

#include "charm/base/fs.h"

namespace charm::pipeline {

struct InitOptions {
  fs::path responses;               ///< folder with one file (or data set folder) per policy
  std::optional<fs::path> ratings;  ///< else looked for beside and in the folder
  std::optional<fs::path> model;    ///< reward model; else looked for beside and in the folder
  std::string reference;            ///< else the policy with the middle rating
  fs::path run_dir = "run";         ///< relative to the recipe
  fs::path output = "recipe.yaml";  ///< the recipe to write
};

struct InitResult {
  std::string text;                ///< of the recipe
  std::vector<std::string> found;  ///< "18 policies in responses/", "ratings: ratings.json"
  std::vector<std::string> open;   ///< what is left to fill in
};

/// A recipe for a folder of responses. Throws kIo if there is no such folder, kInput if it holds
/// fewer than two policies.
InitResult init_recipe(const InitOptions& options);

}  // namespace charm::pipeline
