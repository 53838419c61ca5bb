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
#include "charm/results/explanation.h"
#include "charm/stats/elo.h"
#include "charm/stats/interval.h"

namespace charm::explain {

using results::FeatureEffect;
using results::PairExplanation;
using results::PooledEffects;

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
PooledEffects pooled_effects(std::span<const FeatureFile> files, std::int64_t min_differing);

/// Fitted contribution of the features to a score, up to a constant.
double adjustment(const PooledEffects& pooled, const Features& features);

/// Adds win rate and MD to an explanation: unweighted, weighted to balance the mean log_length of
/// both policies' responses, and weighted to balance all of `columns`. Weights by entropy balancing
/// (balance.cpp); intervals by bootstrap over prompts, rebalanced in each replicate, with ratings
/// drawn from their own intervals. A match with an effective sample size below 30 is dropped with a
/// warning.
///
/// @param columns  differences of the features that vary, policy - reference, by row
void add_mismatch(PairExplanation& explanation, const stats::PairRows& rows,
                  std::span<const Column> columns, const ArenaRating& over, const ArenaRating& ref,
                  std::size_t num_prompts, const ExplainSettings& settings,
                  std::vector<std::string>& warnings);

}  // namespace charm::explain
