#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "charm/base/files.h"
#include "charm/calibrate/calibration.h"
#include "charm/evaluate/arena.h"
#include "charm/evaluate/reward_bench.h"
#include "charm/evaluate/rm_bench.h"
#include "charm/explain/explanation.h"
#include "charm/explain/texts.h"

namespace charm::explain {

/// Mean |MD| and correlation with the ratings under one method on one set of prompts.
struct MethodCheck {
  std::int64_t num_prompts = 0;
  Estimated mean_abs_mismatch;      ///< over all ordered pairs
  std::optional<Estimated> change;  ///< of it against the scores as they are, on the same resamples
  double sampling_noise = 0.0;      ///< mean |MD| of scores whose true win rates meet every target
  std::optional<evaluate::Correlations> mean_score;  ///< with the ratings; three or more policies
  std::optional<evaluate::Correlations> win_rate;    ///< of win rates against all others
};

/// A correction of scores that needs no training.
struct Method {
  std::string name;                   ///< "none", "offsets", "lowess", "style", "style-offsets"
  std::string meaning;                ///< one sentence
  std::vector<PolicyOffset> offsets;  ///< of methods that have them
  MethodCheck fit;                    ///< on the prompts it was fitted on
  std::optional<MethodCheck> held_out;
  /// Of the saved scores of a benchmark. Empty where none were given and for methods that belong to
  /// policies alone: a benchmark's texts have no policy, so offsets do not move them.
  std::optional<evaluate::RewardBenchResult> reward_bench;
  std::optional<evaluate::RmBenchResult> rm_bench;
};

struct CompareOptions {
  calibrate::SolveOptions solve;      ///< as the offsets were found
  std::vector<PolicyOffset> offsets;  ///< of every policy, the reference's being 0
  std::string reference;
  std::vector<ArenaRating> ratings;    ///< of every policy
  std::vector<fs::path> reward_bench;  ///< saved scores of RewardBench v1
  std::vector<fs::path> rm_bench;      ///< saved scores of RM-Bench
  std::int64_t min_differing = 10;     ///< as ExplainSettings
  std::int64_t bootstrap = 1000;
  std::uint64_t seed = 0;
  std::int64_t max_bad_rows = 0;
  stats::PairedScoresOptions pairing;
  stats::PairedScoresOptions held_out_pairing;
};

struct MethodComparison {
  std::vector<Method> methods;
  PooledEffects pooled;               ///< behind "style"
  std::vector<std::string> warnings;  ///< a method that has no answer here, and why
};

/// Scores as they are, calibrated offsets, LOWESS over the response length (Huang et al. 2024,
/// "Post-hoc Reward Calibration"), linear effects of length and style, and those with offsets found
/// anew; fitted on `fit`, checked there and on `held_out` (may be empty).
///
/// LOWESS as ZeroYuHuang/Reward-Calibration: over characters, it = 3, frac = 0.3 over the policies'
/// responses and 1.0 over a benchmark's own; beyond 5,000 texts lines are fitted one hundredth of
/// the range apart and joined. A held-out response gets the curve of the fit's.
MethodComparison compare_methods(std::span<const FeatureFile> fit,
                                 std::span<const FeatureFile> held_out,
                                 const CompareOptions& options);

}  // namespace charm::explain
