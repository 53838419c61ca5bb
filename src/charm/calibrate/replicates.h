#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "charm/base/progress.h"
#include "charm/calibrate/offset_solver.h"
#include "charm/records/arena.h"
#include "charm/stats/pair_table.h"

namespace charm::calibrate {

/// Same-prompt outcomes of every pair of a problem before and after calibration.
struct PairOutcomes {
  PairOutcomes(const OffsetProblem& problem, std::span<const double> offsets)
      : before(problem.pairs), after(problem.pairs, offsets) {}

  stats::PairTable before;
  stats::PairTable after;
};

using Replicate = stats::PairReplicate;

/// `options.bootstrap` replicates. Without a solver no offsets are refitted.
std::vector<Replicate> run_bootstrap(const OffsetProblem& problem, const OffsetSolver* solver,
                                     const OffsetSolution& solution, const PairOutcomes& outcomes,
                                     std::span<const ArenaRating> ratings, std::size_t num_prompts,
                                     const ProgressFn& progress = {});

/// The results of all ordered pairs, by policy, then reference; no intervals without replicates.
std::vector<results::Pair> calibrated_pairs(const OffsetProblem& problem,
                                            const OffsetSolution& solution,
                                            const PairOutcomes& outcomes,
                                            std::span<const ArenaRating> ratings,
                                            std::span<const Replicate> replicates);

// Warnings about the reliability of a calibration.

/// Score ranges that do not overlap, prompts without a counterpart.
void warn_about_pairs(const OffsetProblem& problem, std::vector<std::string>& warnings);

/// Two policies: a win rate that misses its target by more than one row. More: pairs that miss
/// their target significantly, i.e. ratings that are inconsistent under this reward model.
void warn_about_residuals(const OffsetProblem& problem, const OffsetSolution& solution,
                          std::span<const ArenaRating> ratings, std::vector<std::string>& warnings);

/// Ratings without an interval where intervals were requested, replicates without a solution.
void warn_about_intervals(std::span<const ArenaRating> ratings,
                          std::span<const Replicate> replicates,
                          std::vector<std::string>& warnings);

}  // namespace charm::calibrate
