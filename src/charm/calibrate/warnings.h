#pragma once

#include <span>
#include <string>
#include <vector>

#include "charm/calibrate/offset_solver.h"
#include "charm/calibrate/replicates.h"

// Warnings about the reliability of a calibration.
namespace charm::calibrate {

/// Score ranges that do not overlap, prompts without a counterpart.
void warn_about_pairs(const OffsetProblem& problem, std::vector<std::string>& warnings);

/// Two policies: a win rate that misses its target by more than one row. More: pairs that miss
/// their target significantly, i.e. ratings that are inconsistent under this reward model.
void warn_about_residuals(const OffsetProblem& problem, const OffsetSolution& solution,
                          std::span<const ArenaRating> ratings, std::vector<std::string>& warnings);

/// Ratings without an interval where intervals were requested, replicates without a solution.
void warn_about_intervals(const SolveOptions& options, std::span<const ArenaRating> ratings,
                          std::span<const Replicate> replicates,
                          std::vector<std::string>& warnings);

}  // namespace charm::calibrate
