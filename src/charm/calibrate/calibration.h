#pragma once

#include <span>

#include "charm/base/progress.h"
#include "charm/calibrate/solve_options.h"
#include "charm/records/arena.h"
#include "charm/stats/paired_scores.h"

namespace charm::calibrate {

/// Throws kUsage for settings that exclude each other, or are out of range.
void check_settings(const SolveOptions& options);

/// The pure part of `calibrate`: `ratings` in the order of the table's policies. Two policies: the
/// exact offset of the pair. More: weighted least squares over all pairs with the reference at 0.
/// Throws kInput where there is no solution.
Calibration solve(const stats::PairedScores& scores, std::span<const ArenaRating> ratings,
                  std::size_t reference, const SolveOptions& options,
                  const ProgressFn& progress = {});

/// Win rates and MD of the calibrated policies at their offsets, on held-out prompts. `scores` and
/// `ratings` as in `solve`; the same policies.
HeldOut check_held_out(const Calibration& calibration, const stats::PairedScores& scores,
                       std::span<const ArenaRating> ratings);

/// Leave-one-out cross-validation: refits without each policy but the reference and fills
/// `calibration.held_out_policies`: how much the others' offsets change the mismatch of a policy
/// without one. `held_out`: scores of held-out prompts, with the same policies, or nullptr. Throws
/// kUsage for fewer than three policies.
void leave_one_out(Calibration& calibration, const stats::PairedScores& scores,
                   std::span<const ArenaRating> ratings, const stats::PairedScores* held_out,
                   std::span<const ArenaRating> held_out_ratings, const ProgressFn& progress = {});

}  // namespace charm::calibrate
