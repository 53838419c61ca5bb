#include <algorithm>
#include <utility>

#include "charm/base/check.h"
#include "charm/base/error.h"
#include "charm/calibrate/calibration.h"
#include "charm/calibrate/offset_solver.h"
#include "charm/calibrate/replicates.h"

namespace charm::calibrate {
HeldOut check_held_out(const Calibration& calibration, const stats::PairedScores& scores,
                       std::span<const ArenaRating> ratings) try {
  CHARM_CHECK(ratings.size() == scores.num_policies(), "{} ratings for {} policies", ratings.size(),
              scores.num_policies());
  std::size_t reference = scores.num_policies();
  OffsetSolution solution;
  for (std::size_t p = 0; p < scores.num_policies(); ++p) {
    const std::string& name = scores.policy(p).policy;
    if (name == calibration.reference) reference = p;
    const auto policy = std::find_if(calibration.policies.begin(), calibration.policies.end(),
                                     [&](const auto& one) { return one.policy == name; });
    if (policy == calibration.policies.end()) {
      throw Error(ErrorKind::kInput, "policy '{}' was not calibrated", name);
    }
    solution.offsets.push_back(policy->offset.value);
  }
  if (reference == scores.num_policies() || scores.num_policies() != calibration.policies.size()) {
    throw Error(ErrorKind::kInput, "{} of {} calibrated policies have scores",
                scores.num_policies(), calibration.policies.size());
  }
  SolveOptions options = calibration.options;
  options.mode = {.kind = ModeKind::kSamePrompt};
  const OffsetProblem problem = make_problem(scores, ratings, reference, options);
  solution.plateaus.resize(scores.num_policies());
  const PairOutcomes outcomes(problem, solution.offsets);
  const std::vector<Replicate> replicates =
      run_bootstrap(problem, /*solver=*/nullptr, solution, outcomes, ratings, scores.num_prompts());
  HeldOut held_out;
  held_out.num_prompts = static_cast<std::int64_t>(scores.num_prompts());
  for (results::Pair& pair : calibrated_pairs(problem, solution, outcomes, ratings, replicates)) {
    auto& place = pair.reference == calibration.reference ? held_out.pairs : held_out.other_pairs;
    place.push_back(std::move(pair));
  }
  held_out.mean = stats::mean_mismatch(held_out.pairs, held_out.other_pairs);
  return held_out;
} catch (const Error& error) {
  throw error.with_context("on the held-out prompts");
}

}  // namespace charm::calibrate
