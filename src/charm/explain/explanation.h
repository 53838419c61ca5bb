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
#include "charm/stats/elo.h"
#include "charm/stats/interval.h"

namespace charm::explain {

/// A value with its 95 % interval.
struct Estimated {
  double value = 0.0;
  std::optional<stats::Interval> ci95;
};

/// What one feature does to a pair's score difference.
struct FeatureEffect {
  std::string feature;
  Estimated coefficient;                  ///< score units per unit of the feature
  double mean_difference = 0.0;           ///< of the feature, policy less reference
  Estimated contribution;                 ///< coefficient times mean difference, score units
  std::optional<double> share_of_gap;     ///< contribution / score gap, where the gap is not 0
                                          ///< within its interval
  std::optional<double> share_of_offset;  ///< contribution / what the offset takes away, where the
                                          ///< offset is not 0 within its interval
};

/// Win rate and MD on prompts weighted so that both policies' responses look alike on average.
struct MatchedMismatch {
  std::vector<std::string> features;  ///< that are alike
  double effective_rows = 0.0;        ///< rows of equal weight that would be as precise
  Estimated win_rate;
  Estimated mismatch;
};

struct PairExplanation {
  std::string policy;
  std::string reference;
  std::int64_t num_prompts = 0;
  std::int64_t num_rows = 0;
  Estimated score_gap;              ///< mean score difference, policy less reference
  std::optional<Estimated> offset;  ///< of the policy less that of the reference, where calibrated
  std::vector<FeatureEffect> effects;
  std::vector<DroppedColumn> dropped;
  Estimated explained;    ///< sum of all contributions
  Estimated unexplained;  ///< the intercept: what remains between responses that look alike
  double r_squared = 0.0;

  // Where there are ratings.
  std::optional<double> target_win_rate;
  std::optional<Estimated> win_rate;
  std::optional<Estimated> mismatch;
  std::optional<MatchedMismatch> length_matched;
  std::optional<MatchedMismatch> style_matched;
};

struct ExplainSettings {
  stats::TieRule ties = stats::TieRule::kLoss;
  std::int64_t min_differing = 10;  ///< prompts on which a feature must differ to be estimated
  std::int64_t bootstrap = 1000;    ///< resamples behind the intervals of matched MD; 0: none
  std::uint64_t seed = 0;
  std::size_t num_threads = 0;
};

/// Offset of a policy as calibrated.
struct PolicyOffset {
  std::string policy;
  double offset = 0.0;
  std::optional<stats::Interval> ci95;
};

/// Explains `over` against `ref`. `ratings` in the table's order, or empty; `offsets` of the two or
/// empty. Warnings name what could not be estimated.
PairExplanation explain_pair(const FeatureTable& table, std::size_t over, std::size_t ref,
                             std::span<const ArenaRating> ratings,
                             std::span<const PolicyOffset> offsets, const ExplainSettings& settings,
                             std::vector<std::string>& warnings);

/// Score on features over all rows, with an effect for every prompt and every policy: what the
/// features do to scores beside who wrote the response.
struct PooledEffects {
  std::vector<FeatureEffect> effects;  ///< coefficients alone
  std::vector<DroppedColumn> dropped;
  std::int64_t num_rows = 0;
  std::int64_t num_prompts = 0;

  /// What the features add to a score, up to a constant.
  double adjustment(const Features& features) const;
};

PooledEffects pooled_effects(std::span<const FeatureFile> files, std::int64_t min_differing);

}  // namespace charm::explain
