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

class PairOutcomes;

/// One bootstrap replicate: what the resampled prompts and drawn ratings give.
struct Replicate {
  std::vector<double> ratings;          ///< [policy] Elo points
  std::vector<stats::WinCount> before;  ///< [pair] of the problem
  std::vector<stats::WinCount>
      after;  ///< [pair], at the offsets of the solution, not of the replicate
  /// [policy], found anew; empty where there is no answer. Where a whole plateau answers alike, a
  /// place drawn from it: plateaus of coarse scores are not small beside an interval, and their
  /// middles alone would make it too short.
  std::optional<std::vector<double>> offsets;
};

/// `options.bootstrap` of them. Without a solver no offsets are found anew.
std::vector<Replicate> run_bootstrap(const OffsetProblem& problem, const OffsetSolver* solver,
                                     const OffsetSolution& solution, const PairOutcomes& outcomes,
                                     std::span<const ArenaRating> ratings, std::size_t num_prompts,
                                     const ProgressFn& progress = {});

}  // namespace charm::calibrate
