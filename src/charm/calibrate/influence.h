#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "charm/calibrate/offset_solver.h"
#include "charm/records/arena.h"
#include "charm/stats/interval.h"

// What the solution owes to single pairs, prompts and ratings, by linearising it there.
namespace charm::calibrate {

/// What one pair does to a joint fit.
struct PairPull {
  double leverage = 0.0;  ///< share of a change of its win rate that the fit follows, in [0, 1]
  std::optional<double> influence;  ///< largest move of any offset were the pair left out, score
                                    ///< units; empty where the others do not hold the offsets
};

/// [pair]; empty for two policies, whose single pair decides alone. The usual regression
/// diagnostics (leverage h, change r h / (1 - h)) of the least squares at their solution.
std::vector<PairPull> pair_pulls(const OffsetProblem& problem, const OffsetSolution& solution);

struct OffsetError {
  double se = 0.0;  ///< score units
  stats::Interval ci95;
};

/// [policy] standard errors and intervals of the offsets without resampling. Prompts: the influence
/// of each prompt on every pair's win rate, carried through the least squares, so that pairs which
/// share prompts are correlated as they are. Ratings: independent normals, through the targets. A
/// single same-prompt pair: the interval of the win rate read off the step curve at target -+ 1.96
/// standard errors (Woodruff 1952), which needs no density and no symmetry.
std::vector<OffsetError> influence_errors(const OffsetProblem& problem,
                                          const OffsetSolution& solution,
                                          std::span<const ArenaRating> ratings,
                                          std::size_t num_prompts);

}  // namespace charm::calibrate
