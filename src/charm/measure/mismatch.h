#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "charm/records/arena.h"
#include "charm/stats/elo.h"
#include "charm/stats/interval.h"
#include "charm/stats/paired_scores.h"

namespace charm::measure {

/// One ordered pair: `policy` against `reference` on their common prompts.
struct MismatchPair {
  std::string policy;
  std::string reference;
  std::int64_t num_prompts = 0;
  std::int64_t num_rows = 0;  ///< more than num_prompts where policies answered several times
  std::int64_t missing_policy = 0;
  std::int64_t missing_reference = 0;
  double target_win_rate = 0.0;
  double win_rate = 0.0;
  double mismatch = 0.0;
  std::int64_t ties = 0;
  std::optional<stats::Interval> target_ci95;
  std::optional<stats::Interval> win_rate_ci95;
  std::optional<stats::Interval> mismatch_ci95;
  double p_value = 1.0;       ///< two-sided, of H0: win rate = target
  double p_value_holm = 1.0;  ///< Holm: controls the family-wise error rate over all ordered pairs
  double p_value_bh = 1.0;    ///< Benjamini-Hochberg: controls the false discovery rate
  /// Whether the mismatch is significant at kSignificanceLevel after Holm's correction.
  bool is_significant() const;
};

/// Significance level of the corrected p-values.
inline constexpr double kSignificanceLevel = 0.05;

struct MismatchPolicy {
  stats::PolicyScores scores;
  ArenaRating rating;
};

struct Mismatch {
  stats::TieRule ties = stats::TieRule::kLoss;
  std::uint64_t seed = 0;
  std::int64_t bootstrap = 0;
  std::int64_t num_prompts = 0;  ///< distinct prompts over all policies
  std::vector<MismatchPolicy> policies;
  std::vector<MismatchPair> pairs;  ///< all ordered pairs, by policy, then reference
  std::vector<std::string> warnings;
};

struct MismatchOptions {
  stats::TieRule ties = stats::TieRule::kLoss;
  std::int64_t bootstrap = 1000;
  std::uint64_t seed = 0;
  std::size_t num_threads = 0;
};

/// p-value of H0: win rate = target. A score test: under H0 the win rate of n independent prompts
/// has the variance e (1 - e) / n; n is the effective sample size w (1 - w) / se^2 of the clustered
/// standard error, or the number of prompts where w is 0 or 1. The target's own variance, from the
/// ratings' intervals, is added.
/// @param target_se  standard error of the target win rate; 0 where ratings are exact
double mismatch_p_value(const stats::ClusteredRate& win_rate, double target, double target_se);

/// The pure part of `measure`: `ratings` in the order of the table's policies.
Mismatch measure_mismatch(const stats::PairedScores& scores, std::span<const ArenaRating> ratings,
                          const MismatchOptions& options);

/// mismatch.json, keys in reading order. `inputs`: the input files, as the stage records them.
nlohmann::ordered_json mismatch_json(const Mismatch& mismatch,
                                     const nlohmann::ordered_json& inputs);

}  // namespace charm::measure
