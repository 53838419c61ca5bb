#include <algorithm>
#include <cmath>
#include <utility>

#include "charm/base/check.h"
#include "charm/base/error.h"
#include "charm/calibrate/calibration.h"
#include "charm/calibrate/influence.h"
#include "charm/calibrate/offset_solver.h"
#include "charm/calibrate/replicates.h"
#include "charm/stats/descriptive.h"
#include "charm/stats/interval.h"

namespace charm::calibrate {
namespace {

void require_two_policies(const stats::PairedScores& scores) {
  if (scores.num_policies() >= 2) return;
  throw Error(
      ErrorKind::kInput,
      "the scores contain only policy '{}'; calibration needs another one beside the reference",
      scores.policy(0).policy);
}

}  // namespace

void check_settings(const SolveOptions& options) {
  if (options.solver == SolverKind::kAdam && options.mode.kind == ModeKind::kSamePrompt) {
    throw Error(ErrorKind::kUsage,
                "--solver adam trains on smooth win rates and has no same-prompt form; use --mode "
                "block:1000 or all-pairs");
  }
  if (options.solver == SolverKind::kAdam && options.weights == PairWeights::kCount) {
    throw Error(
        ErrorKind::kUsage,
        "--solver adam weights pairs equally, as the original does; it excludes --weights count");
  }
  if (options.shrink &&
      (options.mode.kind != ModeKind::kSamePrompt || options.solver != SolverKind::kExact)) {
    throw Error(ErrorKind::kUsage,
                "--shrink needs the standard errors of --mode same-prompt with --solver exact");
  }
}

OffsetProblem make_problem(const stats::PairedScores& scores, std::span<const ArenaRating> ratings,
                           std::size_t reference, const SolveOptions& options) {
  OffsetProblem problem{.policies = scores.names(),
                        .reference = reference,
                        .pairs = stats::policy_pairs(scores, ratings, reference),
                        .options = options};
  double total_weight = 0.0;
  for (stats::PolicyPair& pair : problem.pairs) {
    if (pair.target < kExtremeTarget || pair.target > 1.0 - kExtremeTarget) {
      throw Error(ErrorKind::kInput,
                  "ratings {} of '{}' and {} of '{}' imply a win rate of {}; no finite offset "
                  "attains that",
                  ratings[pair.over].rating_elo, problem.policies[pair.over],
                  ratings[pair.ref].rating_elo, problem.policies[pair.ref], pair.target);
    }
    if (options.weights == PairWeights::kCount)
      pair.weight = static_cast<double>(pair.rows.num_prompts);
    total_weight += pair.weight;
  }
  for (stats::PolicyPair& pair : problem.pairs) pair.weight /= total_weight;
  return problem;
}

std::unique_ptr<OffsetSolver> make_solver(const OffsetProblem& problem) {
  if (problem.options.solver == SolverKind::kAdam) return make_adam_solver(problem);
  if (problem.options.mode.kind == ModeKind::kSamePrompt) return make_same_prompt_solver(problem);
  return make_smooth_solver(problem);
}

OffsetPlateaus point_plateaus(std::span<const double> offsets) {
  OffsetPlateaus spans;
  for (const double offset : offsets) spans.push_back({.lo = offset, .hi = offset});
  return spans;
}

std::vector<PairTerm> pair_terms(const OffsetProblem& problem, std::span<const double> targets) {
  std::vector<PairTerm> terms;
  for (std::size_t p = 0; p < problem.pairs.size(); ++p) {
    const stats::PolicyPair& pair = problem.pairs[p];
    terms.push_back(
        {.over = pair.over, .ref = pair.ref, .weight = pair.weight, .target = targets[p]});
  }
  return terms;
}

std::vector<double> row_weights(const stats::PairRows& rows,
                                std::span<const std::uint32_t> prompt_weights) {
  std::vector<double> weights;
  weights.reserve(rows.prompt.size());
  for (const std::uint32_t prompt : rows.prompt) weights.push_back(prompt_weights[prompt]);
  return weights;
}

namespace {

std::vector<CalibratedPolicy> calibrated_policies(const OffsetProblem& problem,
                                                  const OffsetSolution& solution,
                                                  std::span<const ArenaRating> ratings,
                                                  std::span<const Replicate> replicates) {
  std::vector<CalibratedPolicy> policies;
  for (std::size_t p = 0; p < problem.policies.size(); ++p) {
    CalibratedPolicy policy{.policy = problem.policies[p],
                            .rating = ratings[p],
                            .offset = {.value = solution.offsets[p], .ci95 = {}},
                            .offset_se = {},
                            .offset_interval = solution.plateaus[p],
                            .offset_unshrunk = {},
                            .shrinkage = {}};
    std::vector<double> offsets;
    for (const Replicate& replicate : replicates) {
      if (replicate.offsets) offsets.push_back((*replicate.offsets)[p]);
    }
    if (!offsets.empty()) {
      policy.offset_se = stats::standard_deviation(offsets);
      policy.offset.ci95 = stats::percentile_interval(std::move(offsets));
    }
    policies.push_back(std::move(policy));
  }
  return policies;
}

// Offsets after shrinkage, with posterior standard deviations.
struct ShrunkOffsets {
  double prior_sd = 0.0;
  std::vector<double> offsets;  // [policy], 0 for the reference
  std::vector<double> factors;
  std::vector<double> errors;
};

ShrunkOffsets shrink_offsets(const OffsetProblem& problem, const OffsetSolution& solution,
                             std::span<const ArenaRating> ratings, std::size_t num_prompts) {
  const std::vector<double> errors = offset_errors(problem, solution, ratings, num_prompts);
  std::vector<std::size_t> policies;
  std::vector<double> estimates;
  std::vector<double> standard_errors;
  for (std::size_t p = 0; p < problem.policies.size(); ++p) {
    if (p == problem.reference) continue;
    policies.push_back(p);
    estimates.push_back(solution.offsets[p]);
    standard_errors.push_back(errors[p]);
  }
  const Shrinkage found = shrink_to_zero(estimates, standard_errors);
  const std::vector<double> zero(problem.policies.size(), 0.0);
  ShrunkOffsets result{
      .prior_sd = found.prior_sd, .offsets = zero, .factors = zero, .errors = zero};
  for (std::size_t i = 0; i < policies.size(); ++i) {
    result.offsets[policies[i]] = found.values[i];
    result.factors[policies[i]] = found.factors[i];
    result.errors[policies[i]] = found.errors[i];
  }
  return result;
}

// Error and interval are those of the posterior, not of the bootstrap; the plateau belongs
// to the unshrunk offset and is dropped.
void apply(const ShrunkOffsets& shrunk, std::size_t index, CalibratedPolicy& policy) {
  policy.offset_unshrunk = policy.offset.value;
  policy.shrinkage = shrunk.factors[index];
  policy.offset.value = shrunk.offsets[index];
  policy.offset_interval.reset();
  policy.offset_se = shrunk.errors[index];
  const double half = stats::kNormal975 * shrunk.errors[index];
  policy.offset.ci95 = {.lo = policy.offset.value - half, .hi = policy.offset.value + half};
}

}  // namespace

Calibration solve(const stats::PairedScores& scores, std::span<const ArenaRating> ratings,
                  std::size_t reference, const SolveOptions& options, const ProgressFn& progress) {
  CHARM_CHECK(ratings.size() == scores.num_policies() && reference < ratings.size(),
              "{} ratings for {} policies", ratings.size(), scores.num_policies());
  require_two_policies(scores);
  check_settings(options);
  const OffsetProblem problem = make_problem(scores, ratings, reference, options);
  const auto solver = make_solver(problem);
  const OffsetSolution solution = solver->solve();
  std::optional<ShrunkOffsets> shrunk;
  if (options.shrink) shrunk = shrink_offsets(problem, solution, ratings, scores.num_prompts());
  const PairOutcomes outcomes(problem, shrunk ? shrunk->offsets : solution.offsets);
  const std::vector<Replicate> replicates = run_bootstrap(problem, solver.get(), solution, outcomes,
                                                          ratings, scores.num_prompts(), progress);

  Calibration calibration;
  calibration.options = options;
  calibration.reference = problem.policies[reference];
  calibration.num_prompts = static_cast<std::int64_t>(scores.num_prompts());
  calibration.policies = calibrated_policies(problem, solution, ratings, replicates);
  if (shrunk) {
    calibration.prior_sd = shrunk->prior_sd;
    for (std::size_t p = 0; p < calibration.policies.size(); ++p) {
      if (p != reference) apply(*shrunk, p, calibration.policies[p]);
    }
  }
  for (results::Pair& pair : calibrated_pairs(problem, solution, outcomes, ratings, replicates)) {
    auto& place =
        pair.reference == calibration.reference ? calibration.pairs : calibration.other_pairs;
    place.push_back(std::move(pair));
  }
  calibration.mean = stats::mean_mismatch(calibration.pairs, calibration.other_pairs);
  if (std::string dropped = stats::dropped_rows_text(scores); !dropped.empty())
    calibration.warnings.push_back(std::move(dropped));
  warn_about_pairs(problem, calibration.warnings);
  warn_about_residuals(problem, solution, ratings, calibration.warnings);
  warn_about_intervals(ratings, replicates, calibration.warnings);
  return calibration;
}

}  // namespace charm::calibrate
