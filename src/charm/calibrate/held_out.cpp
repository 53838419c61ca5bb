#include <algorithm>
#include <cmath>
#include <utility>

#include "charm/base/check.h"
#include "charm/base/error.h"
#include "charm/calibrate/calibration.h"
#include "charm/calibrate/calibration_pairs.h"
#include "charm/calibrate/offset_solver.h"
#include "charm/calibrate/replicates.h"

namespace charm::calibrate {
namespace {

// Mean of |X / n - e| for X binomial(n, e), by de Moivre's closed form:
//     E|X - n e| = 2 (m + 1) C(n, m + 1) e^(m + 1) (1 - e)^(n - m),    m = floor(n e)
double mean_deviation(std::int64_t num_prompts, double e) {
  const auto n = static_cast<double>(num_prompts);
  if (num_prompts <= 0 || e <= 0.0 || e >= 1.0) return 0.0;
  const double m = std::floor(n * e);
  const double log_choose = std::lgamma(n + 1.0) - std::lgamma(m + 2.0) - std::lgamma(n - m);
  return 2.0 * (m + 1.0) / n *
         std::exp(log_choose + (m + 1.0) * std::log(e) + (n - m) * std::log1p(-e));
}

}  // namespace

MeanMismatch mean_mismatch(std::span<const CalibratedPair> pairs,
                           std::span<const CalibratedPair> other_pairs) {
  MeanMismatch mean;
  for (const auto& list : {pairs, other_pairs}) {
    for (const CalibratedPair& pair : list) {
      const double e = pair.target_win_rate;
      mean.before += std::abs(pair.mismatch_before);
      mean.after += std::abs(pair.mismatch_after);
      mean.sampling_noise += mean_deviation(pair.num_prompts, e) / std::max(e, 1.0 - e);
    }
  }
  const auto count = static_cast<double>(pairs.size() + other_pairs.size());
  if (count == 0.0) return mean;
  return {.before = mean.before / count,
          .after = mean.after / count,
          .sampling_noise = mean.sampling_noise / count};
}

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
    solution.offsets.push_back(policy->offset);
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
  for (CalibratedPair& pair : calibrated_pairs(problem, solution, outcomes, ratings, replicates)) {
    auto& place = pair.reference == calibration.reference ? held_out.pairs : held_out.other_pairs;
    place.push_back(std::move(pair));
  }
  return held_out;
} catch (const Error& error) {
  throw error.with_context("on the held-out prompts");
}

}  // namespace charm::calibrate
