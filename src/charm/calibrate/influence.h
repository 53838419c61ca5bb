#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "charm/calibrate/offset_solver.h"
#include "charm/records/arena.h"
#include "charm/stats/interval.h"

// Influence of single pairs, prompts and ratings on the solution, by linearisation.
namespace charm::calibrate {

/// Leverage and influence of one pair in a joint fit.
struct PairInfluence {
  double leverage = 0.0;  ///< d(fitted win rate) / d(win rate) of the pair, in [0, 1]
  std::optional<double>
      influence;  ///< largest change of any offset when the pair is dropped, score units; empty
                  ///< where the remaining pairs do not determine the offsets
};

/// [pair]; empty for two policies, whose single pair has leverage 1. The usual regression
/// diagnostics (leverage h, change r h / (1 - h)) of the least squares at the solution.
std::vector<PairInfluence> pair_influences(const OffsetProblem& problem,
                                           const OffsetSolution& solution);

/// [policy] standard errors of same-prompt offsets without resampling, score units. Prompts: the
/// influence of each prompt on every pair's win rate, propagated through the least squares, so that
/// pairs which share prompts are correlated. Ratings: independent normals, through the targets. A
/// single pair: the step function inverted at target -+ 1.96 standard errors of the win rate
/// (Woodruff 1952), which needs no density.
std::vector<double> offset_errors(const OffsetProblem& problem, const OffsetSolution& solution,
                                  std::span<const ArenaRating> ratings, std::size_t num_prompts);

/// Empirical Bayes shrinkage of independent estimates towards 0.
struct Shrinkage {
  double prior_sd = 0.0;  ///< tau, the prior standard deviation around 0
  std::vector<double>
      factors;  ///< [estimate] tau^2 / (tau^2 + se^2): 1: no shrinkage, 0: shrunk to 0
  std::vector<double> values;  ///< [estimate] factor * estimate, the posterior mean
  std::vector<double> errors;  ///< [estimate] sqrt(factor) * se, the posterior standard deviation
};

/// Estimates d_p with standard errors se_p of true values drawn from N(0, tau^2); tau^2 solves
///     sum over p of d_p^2 / (tau^2 + se_p^2) = number of estimates
/// (Paule and Mandel 1982, with the mean known to be 0), or is 0 where the estimates vary no more
/// than their standard errors. Estimates with a standard error of 0 are kept. The errors ignore
/// that tau is estimated, and that estimates against one reference share its prompts.
Shrinkage shrink_to_zero(std::span<const double> estimates, std::span<const double> errors);

}  // namespace charm::calibrate
