#pragma once

#include <cmath>
#include <string>
#include <vector>

#include "charm/base/random.h"
#include "charm/records/arena.h"
#include "charm/records/score.h"
#include "charm/stats/paired_scores.h"

// Small made-up scores for the tests of this folder.
namespace charm::calibrate {

/// Scores of one policy: mean + prompt effect (shared by policies of the same seed) + own noise, as
/// float32.
inline ScoreFile make_scores(const std::string& policy, std::size_t num_prompts, double mean,
                             double spread = 1.0, std::uint64_t seed = 1) {
  RandomStream shared(seed, "prompt effects");
  RandomStream own(seed, policy);
  ScoreFile file{.name = policy + ".parquet", .rows = {}};
  for (std::size_t p = 0; p < num_prompts; ++p) {
    const double score = mean + spread * (0.7 * shared.normal() + own.normal());
    file.rows.push_back({.prompt_id = "p" + std::to_string(p),
                         .policy = policy,
                         .sample = 0,
                         .score = static_cast<float>(score),
                         .error = {}});
  }
  return file;
}

/// Rounds scores to multiples of `step`, as a bfloat16 head would.
inline void coarsen(ScoreFile& file, double step) {
  for (Score& row : file.rows) row.score = static_cast<float>(std::round(row.score / step) * step);
}

inline ArenaRating make_rating(const std::string& name, double elo, double half_width = 0.0) {
  ArenaRating rating{.name = name, .rating_elo = elo, .rating_lo = {}, .rating_hi = {}};
  if (half_width > 0.0) {
    rating.rating_lo = elo - half_width;
    rating.rating_hi = elo + half_width;
  }
  return rating;
}

inline stats::PairedScores make_table(const std::vector<ScoreFile>& files,
                                      const std::string& reference, std::int64_t min_prompts = 1) {
  return stats::PairedScores(
      files,
      {.first_policy = reference, .min_prompts = min_prompts, .strict = false, .policies = {}});
}

}  // namespace charm::calibrate
