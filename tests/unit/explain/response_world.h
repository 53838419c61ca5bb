#pragma once

#include <string>
#include <utility>
#include <vector>

#include "charm/base/random.h"
#include "charm/explain/texts.h"

// Made-up responses whose scores depend on length and style by known effects.
namespace charm::explain {

inline constexpr double kPerHeader = 0.5;     ///< score units
inline constexpr double kPerLogLength = 1.2;  ///< score units per unit of log(1 + characters)

struct PolicyTraits {
  std::string name;
  double words = 40.0;   ///< mean number of words
  double headers = 0.0;  ///< mean number of headers
  double quality = 0.0;  ///< score units beside length and style
};

struct WorldRow {
  std::string prompt;
  std::string response;
  double score = 0.0;
};

inline std::vector<WorldRow> make_responses(const PolicyTraits& traits, std::size_t num_prompts,
                                            std::uint64_t seed = 1) {
  RandomStream prompts(seed, "prompt effects");
  RandomStream own(seed, traits.name);
  std::vector<WorldRow> rows;
  for (std::size_t p = 0; p < num_prompts; ++p) {
    WorldRow row{.prompt = "question " + std::to_string(p) + " of " + std::to_string(seed),
                 .response = {},
                 .score = 2.0 * prompts.normal() + traits.quality + 0.5 * own.normal()};
    const auto headers = own.below(static_cast<std::uint64_t>(2.0 * traits.headers) + 2);
    for (std::uint64_t h = 0; h < headers; ++h) row.response += "# Part\n";
    const auto words = 5 + own.below(static_cast<std::uint64_t>(2.0 * traits.words));
    for (std::uint64_t w = 0; w < words; ++w) row.response += "word ";
    if (own.uniform() < 0.3) row.response += "Good!";
    const Features features = response_features(row.response);
    row.score += kPerLogLength * features[kLogLength] + kPerHeader * features[1];
    rows.push_back(std::move(row));
  }
  return rows;
}

inline FeatureFile make_features(const PolicyTraits& traits, std::size_t num_prompts,
                                 std::uint64_t seed = 1) {
  FeatureFile file{.name = traits.name, .rows = {}};
  for (const WorldRow& row : make_responses(traits, num_prompts, seed)) {
    file.rows.push_back({.score = {.prompt_id = row.prompt,
                                   .policy = traits.name,
                                   .sample = 0,
                                   .score = static_cast<float>(row.score),
                                   .error = {}},
                         .features = response_features(row.response)});
  }
  return file;
}

}  // namespace charm::explain
