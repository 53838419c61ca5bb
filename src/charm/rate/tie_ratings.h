#pragma once

#include "charm/base/progress.h"
#include "charm/rate/ratings.h"

namespace charm::rate {

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
