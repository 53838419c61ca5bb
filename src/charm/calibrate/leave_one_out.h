#pragma once

#include <span>
#include <vector>

#include "charm/base/progress.h"
#include "charm/calibrate/calibration.h"
#include "charm/calibrate/offset_solver.h"

namespace charm::calibrate {

/// Offsets of all policies but one.
struct LeaveOneOutFit {
  std::size_t policy = 0;       ///< held out; never the reference
  std::vector<double> offsets;  ///< [policy of the problem]; 0 for the held-out one
};

/// Fits the problem once without each policy but the reference. Throws kUsage for fewer than three
/// policies.
std::vector<LeaveOneOutFit> leave_one_out_fits(const OffsetProblem& problem,
                                               const ProgressFn& progress = {});

/// Effect of the others' offsets on the held-out policy, on one set of prompts. `policies`: names
/// in the order of the fits' offsets; `with_all`: offsets of the joint fit.
HeldOutPolicyCheck check_held_out_policy(const LeaveOneOutFit& fit,
                                         std::span<const std::string> policies,
                                         std::span<const double> with_all,
                                         const stats::PairedScores& scores,
                                         std::span<const ArenaRating> ratings,
                                         const SolveOptions& options);

}  // namespace charm::calibrate
