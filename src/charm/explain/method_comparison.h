#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "charm/base/fs.h"
#include "charm/explain/explanation.h"
#include "charm/explain/texts.h"
#include "charm/records/arena.h"
#include "charm/results/calibration.h"
#include "charm/stats/paired_scores.h"

namespace charm::explain {

using results::Method;
using results::MethodCheck;

struct CompareOptions {
  results::SolveOptions solve;                     ///< options of the calibration
  std::vector<results::CalibratedPolicy> offsets;  ///< and ratings of every policy
  std::string reference;
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
  PooledEffects pooled;               ///< the regression of method "style"
  std::vector<std::string> warnings;  ///< methods without a solution, and why
};

/// Compares no correction, calibrated offsets, LOWESS on response length (Huang et al. 2024,
/// "Post-hoc Reward Calibration"), linear effects of length and style, and those plus refitted
/// offsets; fitted on `fit`, evaluated there and on `held_out` (may be empty).
///
/// LOWESS as in ZeroYuHuang/Reward-Calibration: on characters, it = 3, frac = 0.3 for the policies'
/// responses and 1.0 for a benchmark's texts; beyond 5,000 texts delta is one hundredth of the
/// range. Held-out responses use the curve of the fit.
MethodComparison compare_methods(std::span<const FeatureFile> fit,
                                 std::span<const FeatureFile> held_out,
                                 const CompareOptions& options);

/// Throws kInput for a policy that was not calibrated.
const ArenaRating& rating_of(const CompareOptions& options, const std::string& policy);

/// Evaluates methods on one set of prompts, all on the same bootstrap replicates.
/// @param scores   [method] corrected scores; the first method is the baseline
/// @param offsets  [method] added to the policies' scores
std::vector<MethodCheck> check_methods(
    const std::vector<std::vector<ScoreFile>>& scores,
    const std::vector<std::vector<results::CalibratedPolicy>>& offsets,
    const stats::PairedScoresOptions& pairing, const CompareOptions& options);

}  // namespace charm::explain
