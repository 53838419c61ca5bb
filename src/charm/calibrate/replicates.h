#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "charm/base/progress.h"
#include "charm/calibrate/offset_solver.h"
#include "charm/records/arena.h"
#include "charm/stats/outcomes.h"

namespace charm::calibrate {

struct PairOutcomes;

/// One bootstrap replicate: statistics under resampled prompts and ratings.
struct Replicate {
  std::vector<double> ratings;          ///< [policy] Elo points
  std::vector<stats::WinCount> before;  ///< [pair] of the problem
  std::vector<stats::WinCount>
      after;  ///< [pair], at the offsets of the solution, not of the replicate
  /// [policy], refitted; empty where there is no solution. Where a whole plateau is optimal, a
  /// uniform draw from it: plateaus of coarse scores are not small compared with an interval, and
  /// their midpoints alone would make it too narrow.
  std::optional<std::vector<double>> offsets;
};

/// `options.bootstrap` replicates. Without a solver no offsets are refitted.
std::vector<Replicate> run_bootstrap(const OffsetProblem& problem, const OffsetSolver* solver,
                                     const OffsetSolution& solution, const PairOutcomes& outcomes,
                                     std::span<const ArenaRating> ratings, std::size_t num_prompts,
                                     const ProgressFn& progress = {});

}  // namespace charm::calibrate
