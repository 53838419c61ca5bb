#include <algorithm>
#include <cmath>
#include <utility>

#include "charm/base/check.h"
#include "charm/base/error.h"
#include "charm/calibrate/calibration.h"
#include "charm/calibrate/calibration_pairs.h"
#include "charm/calibrate/influence.h"
#include "charm/calibrate/offset_solver.h"
#include "charm/calibrate/replicates.h"
#include "charm/calibrate/warnings.h"

namespace charm::calibrate {
namespace {

void check_options(const stats::PairedScores& scores, const SolveOptions& options) {
  if (scores.num_policies() < 2) {
    throw Error(
        ErrorKind::kInput,
        "the scores hold only policy '{}'; calibration needs another one beside the reference",
        scores.policy(0).policy);
  }
  if (options.solver == SolverKind::kAdam && options.mode.kind == ModeKind::kSamePrompt) {
    throw Error(ErrorKind::kUsage,
                "--solver adam trains on smooth win rates and has no same-prompt form; use --mode "
                "block:1000 or all-pairs");
  }
  if (options.solver == SolverKind::kAdam && options.weights == PairWeights::kCount) {
    throw Error(ErrorKind::kUsage,
                "--solver adam weights pairs equally, as the original; leave out --weights count");
  }
  if (options.solver == SolverKind::kAdam && options.interval == IntervalKind::kInfluence) {
    throw Error(ErrorKind::kUsage,
                "--interval influence linearises the exact answer, which --solver adam does not "
                "reach; use --interval bootstrap");
  }
  if (!(options.temperature > 0.0) || !std::isfinite(options.temperature)) {
    throw Error(ErrorKind::kUsage, "temperature is {}, expected a positive number of score units",
                options.temperature);
  }
  if (options.bootstrap < 0) {
    throw Error(ErrorKind::kUsage, "bootstrap is {}, expected 0 or more resamples",
                options.bootstrap);
  }
}

std::unique_ptr<OffsetSolver> make_solver(const OffsetProblem& problem) {
  if (problem.options.solver == SolverKind::kAdam) return make_adam_solver(problem);
  if (problem.options.mode.kind == ModeKind::kSamePrompt) return make_same_prompt_solver(problem);
  return make_smooth_solver(problem);
}

std::vector<CalibratedPolicy> calibrated_policies(const OffsetProblem& problem,
                                                  const OffsetSolution& solution,
                                                  std::span<const ArenaRating> ratings,
                                                  std::span<const Replicate> replicates) {
  std::vector<CalibratedPolicy> policies;
  for (std::size_t p = 0; p < problem.policies.size(); ++p) {
    CalibratedPolicy policy{.policy = problem.policies[p],
                            .rating = ratings[p],
                            .offset = solution.offsets[p],
                            .offset_se = {},
                            .offset_ci95 = {},
                            .offset_interval = solution.plateaus[p]};
    std::vector<double> offsets;
    for (const Replicate& replicate : replicates) {
      if (replicate.offsets) offsets.push_back((*replicate.offsets)[p]);
    }
    if (!offsets.empty()) {
      policy.offset_se = stats::standard_deviation(offsets);
      policy.offset_ci95 = stats::percentile_interval(std::move(offsets));
    }
    policies.push_back(std::move(policy));
  }
  return policies;
}

}  // namespace

Calibration solve(const stats::PairedScores& scores, std::span<const ArenaRating> ratings,
                  std::size_t reference, const SolveOptions& options, const ProgressFn& progress) {
  CHARM_CHECK(ratings.size() == scores.num_policies() && reference < ratings.size(),
              "{} ratings for {} policies", ratings.size(), scores.num_policies());
  check_options(scores, options);
  const OffsetProblem problem = make_problem(scores, ratings, reference, options);
  const auto solver = make_solver(problem);
  const OffsetSolution solution = solver->solve();
  const PairOutcomes outcomes(problem, solution.offsets);
  const bool is_linear = options.interval == IntervalKind::kInfluence;
  std::vector<Replicate> replicates;
  if (!is_linear) {
    replicates = run_bootstrap(problem, solver.get(), solution, outcomes, ratings,
                               scores.num_prompts(), progress);
  }

  Calibration calibration;
  calibration.options = options;
  calibration.reference = problem.policies[reference];
  calibration.num_prompts = static_cast<std::int64_t>(scores.num_prompts());
  calibration.policies = calibrated_policies(problem, solution, ratings, replicates);
  if (is_linear) {
    const auto errors = influence_errors(problem, solution, ratings, scores.num_prompts());
    for (std::size_t p = 0; p < errors.size(); ++p) {
      calibration.policies[p].offset_se = errors[p].se;
      calibration.policies[p].offset_ci95 = errors[p].ci95;
    }
  }
  for (CalibratedPair& pair : calibrated_pairs(problem, solution, outcomes, ratings, replicates)) {
    auto& place =
        pair.reference == calibration.reference ? calibration.pairs : calibration.other_pairs;
    place.push_back(std::move(pair));
  }
  for (std::size_t p = 0; p < scores.num_policies(); ++p) {
    const stats::PolicyScores& policy = scores.policy(p);
    if (policy.num_errors == 0) continue;
    calibration.warnings.push_back(
        fmt::format("{} rows of '{}' carry an error instead of a score and are left out",
                    policy.num_errors, policy.policy));
  }
  warn_about_pairs(problem, calibration.warnings);
  warn_about_residuals(problem, solution, ratings, calibration.warnings);
  warn_about_intervals(options, ratings, replicates, calibration.warnings);
  return calibration;
}

}  // namespace charm::calibrate
