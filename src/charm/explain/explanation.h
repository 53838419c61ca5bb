#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "charm/base/progress.h"
#include "charm/explain/regression.h"
#include "charm/explain/texts.h"
#include "charm/records/arena.h"
#include "charm/results/calibration.h"
#include "charm/stats/elo.h"
#include "charm/stats/interval.h"

namespace charm::explain {

/// Effect of one feature on a pair's score difference.
struct FeatureEffect {
  std::string feature;
  results::Estimate coefficient;   ///< score units per unit of the feature
  double mean_difference = 0.0;    ///< of the feature, policy - reference
  results::Estimate contribution;  ///< coefficient times mean difference, score units
  std::optional<double>
      share_of_gap;  ///< contribution / score gap, where the gap's interval excludes 0
  std::optional<double>
      share_of_offset;  ///< contribution / (-offset), where the offset's interval excludes 0
};

/// Win rate and MD on prompts weighted so that both policies' responses have equal mean features.
struct MatchedMismatch {
  std::vector<std::string> features;  ///< balanced features
  double effective_rows = 0.0;        ///< effective sample size (Kish)
  results::Estimate win_rate;
  results::Estimate mismatch;
};

struct PairExplanation {
  std::string policy;
  std::string reference;
  std::int64_t num_prompts = 0;
  std::int64_t num_rows = 0;
  results::Estimate score_gap;  ///< mean score difference, policy - reference
  std::optional<results::Estimate>
      offset;  ///< offset of the policy - offset of the reference, where calibrated
  std::vector<FeatureEffect> effects;
  std::vector<DroppedColumn> dropped;
  results::Estimate explained;    ///< sum of all contributions
  results::Estimate unexplained;  ///< the intercept: mean difference at equal features
  double r_squared = 0.0;

  // With ratings only.
  std::optional<double> target_win_rate;
  std::optional<results::Estimate> win_rate;
  std::optional<results::Estimate> mismatch;
  std::optional<MatchedMismatch> length_matched;
  std::optional<MatchedMismatch> style_matched;
};

struct ExplainSettings {
  stats::TieRule ties = stats::TieRule::kLoss;
  std::int64_t min_differing = 10;  ///< minimum number of prompts on which a feature differs
  std::int64_t bootstrap = 1000;    ///< bootstrap replicates for matched MD; 0: no intervals
  std::uint64_t seed = 0;
  std::size_t num_threads = 0;
};

/// Explains `over` against `ref`. `ratings` in the table's order, or empty; `offsets` of the two or
/// empty. Warnings name features and matches that could not be estimated.
PairExplanation explain_pair(const FeatureTable& table, std::size_t over, std::size_t ref,
                             std::span<const ArenaRating> ratings,
                             std::span<const results::CalibratedPolicy> offsets,
                             const ExplainSettings& settings, std::vector<std::string>& warnings);

/// Regression of score on features over all rows with prompt and policy fixed effects.
struct PooledEffects {
  std::vector<FeatureEffect> effects;  ///< coefficients only
  std::vector<DroppedColumn> dropped;
  std::int64_t num_rows = 0;
  std::int64_t num_prompts = 0;

  /// Fitted contribution of the features to a score, up to a constant.
  double adjustment(const Features& features) const;
};

PooledEffects pooled_effects(std::span<const FeatureFile> files, std::int64_t min_differing);

/// Adds win rate and MD to an explanation: unweighted, weighted to balance the mean log_length of
/// both policies' responses, and weighted to balance all of `columns`. Weights by entropy balancing
/// (balance.h); intervals by bootstrap over prompts, rebalanced in each replicate, with ratings
/// drawn from their own intervals. A match with an effective sample size below 30 is dropped with a
/// warning.
///
/// @param columns  differences of the features that vary, policy - reference, by row
void add_mismatch(PairExplanation& explanation, const stats::PairRows& rows,
                  std::span<const Column> columns, const ArenaRating& over, const ArenaRating& ref,
                  std::size_t num_prompts, const ExplainSettings& settings,
                  std::vector<std::string>& warnings);

}  // namespace charm::explain
