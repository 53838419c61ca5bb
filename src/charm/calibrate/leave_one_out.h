#pragma once

#include <span>
#include <vector>

#include "charm/base/progress.h"
#include "charm/calibrate/calibration.h"
#include "charm/calibrate/offset_solver.h"

namespace charm::calibrate {

/// Offsets of all policies but one.
struct FitWithout {
  std::size_t policy = 0;       ///< left out; never the reference
  std::vector<double> offsets;  ///< [policy of the problem]; 0 for the one left out
};

/// Fits the problem once without each policy but the reference. Throws kUsage for fewer than three
/// policies: of two none can be left out.
std::vector<FitWithout> fit_without_each(const OffsetProblem& problem,
                                         const ProgressFn& progress = {});

/// What the others' offsets do to the policy left out, on one set of prompts. `policies`: names in
/// the order of the fits' offsets; `with_all`: offsets of the joint fit.
LeftOutCheck check_left_out(const FitWithout& fit, std::span<const std::string> policies,
                            std::span<const double> with_all, const stats::PairedScores& scores,
                            std::span<const ArenaRating> ratings, const SolveOptions& options);

}  // namespace charm::calibrate
