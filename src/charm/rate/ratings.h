#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "charm/base/progress.h"
#include "charm/rate/bradley_terry.h"
#include "charm/records/arena.h"
#include "charm/results/ratings.h"
#include "charm/stats/comparison_fit.h"
#include "charm/stats/interval.h"

namespace charm::rate {

using charm::kNumStyles;
using charm::kStyleNames;
using charm::StyleControl;

struct FitOptions {
  /// Definition of the table's features. fastchat has a ridge on every parameter; arena-rank equal
  /// weight per pair of models and a ridge on the coefficients.
  StyleControl style = StyleControl::kNone;
  stats::TieModel ties = stats::TieModel::kHalf;
  bool order_effect = false;           ///< of being model_a
  std::optional<double> prior_sd_elo;  ///< of all ratings around their mean; empty: no prior
  std::optional<std::string> anchor;   ///< model whose rating is fixed
  double anchor_elo = 0.0;
  std::int64_t bootstrap = 0;  ///< resamples of battles behind the intervals; 0: sandwich
  std::uint64_t seed = 0;
  std::size_t num_threads = 0;  ///< 0: all processors; the result does not depend on it
};

using results::ModelRating;

struct StyleCoefficient {
  std::string feature;
  double value = 0.0;  ///< log odds per standard deviation of the feature
  stats::Interval ci95;
};

struct Ratings {
  std::vector<ModelRating> models;  ///< highest first
  std::vector<StyleCoefficient> styles;
  std::optional<StyleCoefficient> order_effect;   ///< log odds of the first model
  std::optional<StyleCoefficient> tie_parameter;  ///< Davidson's nu, Rao and Kupper's eta
  std::vector<std::string> warnings;
};

/// Throws kInput for models without a common scale, or with an infinite rating.
void check_connected(const ComparisonTable& table);

/// The models with their ratings on Arena's scale, anchored, highest first; no errors yet.
void put_models(const ComparisonTable& table, std::span<const double> log_odds,
                const FitOptions& options, Ratings& result);

/// Ratings on Arena's scale (400 points a factor of ten in the odds), mean 1000 unless anchored.
/// Without style control equal rows must be merged; with it each row is one battle. Throws kInput
/// where the votes leave a rating infinite or the models disconnected, kUsage for an unknown
/// anchor.
Ratings rate_models(const ComparisonTable& table, const FitOptions& options,
                    const ProgressFn& progress = {});

/// Whether the options ask for more than a Bradley-Terry fit with half votes.
bool needs_tie_ratings(const FitOptions& options);

/// Ratings by maximum likelihood with a tie model (stats/comparison_fit.h), an order effect (a
/// constant in the log odds of the first model) and a normal prior of all ratings around their
/// mean, standard deviation `prior_sd_elo`: the ridge that keeps models with few battles finite.
/// Sandwich errors over battles, or the bootstrap. Every row of the table is one battle. Throws
/// kInput without a prior where the votes leave a rating infinite or the models disconnected, and
/// for a tie model without ties; kUsage for arena-rank's style control, which has weights of its
/// own.
Ratings rate_with_ties(const ComparisonTable& table, const FitOptions& options,
                       const ProgressFn& progress = {});

}  // namespace charm::rate
