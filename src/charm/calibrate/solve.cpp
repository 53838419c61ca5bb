#include <algorithm>
#include <cmath>
#include <mutex>
#include <utility>

#include "charm/base/check.h"
#include "charm/calibrate/calibration.h"
#include "charm/calibrate/calibration_pairs.h"
#include "charm/calibrate/offset_solver.h"
#include "charm/stats/bootstrap.h"

namespace charm::calibrate {
namespace {

// Targets nearer to 0 or 1 than this have no finite offset in float64: more than 3,600 Elo points
// apart.
constexpr double kExtremeTarget = 1e-9;

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
  if (!(options.temperature > 0.0) || !std::isfinite(options.temperature)) {
    throw Error(ErrorKind::kUsage, "temperature is {}, expected a positive number of score units",
                options.temperature);
  }
  if (options.bootstrap < 0) {
    throw Error(ErrorKind::kUsage, "bootstrap is {}, expected 0 or more resamples",
                options.bootstrap);
  }
}

OffsetProblem make_problem(const stats::PairedScores& scores, std::span<const ArenaRating> ratings,
                           std::size_t reference, const SolveOptions& options) {
  OffsetProblem problem{
      .policies = scores.names(), .reference = reference, .pairs = {}, .options = options};
  double total_weight = 0.0;
  for (std::size_t i = 0; i < scores.num_policies(); ++i) {
    for (std::size_t j = i + 1; j < scores.num_policies(); ++j) {
      OffsetPair pair;
      pair.over = i == reference ? j : i;
      pair.ref = i == reference ? i : j;
      pair.rows = scores.pair(pair.over, pair.ref);
      pair.target =
          stats::target_win_rate(ratings[pair.over].rating_elo, ratings[pair.ref].rating_elo);
      if (pair.target < kExtremeTarget || pair.target > 1.0 - kExtremeTarget) {
        throw Error(
            ErrorKind::kInput,
            "ratings {} of '{}' and {} of '{}' imply a win rate of {}; no finite offset gives that",
            ratings[pair.over].rating_elo, problem.policies[pair.over],
            ratings[pair.ref].rating_elo, problem.policies[pair.ref], pair.target);
      }
      pair.weight =
          options.weights == PairWeights::kCount ? static_cast<double>(pair.rows.num_prompts) : 1.0;
      total_weight += pair.weight;
      problem.pairs.push_back(std::move(pair));
    }
  }
  for (OffsetPair& pair : problem.pairs) pair.weight /= total_weight;
  return problem;
}

std::unique_ptr<OffsetSolver> make_solver(const OffsetProblem& problem) {
  if (problem.options.solver == SolverKind::kAdam) return make_adam_solver(problem);
  if (problem.options.mode.kind == ModeKind::kSamePrompt) return make_same_prompt_solver(problem);
  return make_smooth_solver(problem);
}

std::vector<Replicate> run_bootstrap(const OffsetProblem& problem, const OffsetSolver& solver,
                                     const OffsetSolution& solution, const PairOutcomes& outcomes,
                                     std::span<const ArenaRating> ratings, std::size_t num_prompts,
                                     const ProgressFn& progress) {
  const SolveOptions& options = problem.options;
  std::vector<Replicate> replicates(static_cast<std::size_t>(options.bootstrap));
  std::mutex progress_mutex;
  std::int64_t num_done = 0;
  stats::bootstrap(replicates.size(), options.seed, "calibrate", options.num_threads,
                   [&](std::size_t index, RandomStream& stream) {
                     Replicate& replicate = replicates[index];
                     const auto weights = stats::resample_prompts(num_prompts, stream);
                     replicate.ratings = stats::draw_ratings(ratings, stream);
                     replicate.before = outcomes.before(weights);
                     replicate.after = outcomes.after(weights);
                     std::vector<double> targets;
                     bool has_rows = true;
                     for (std::size_t p = 0; p < problem.pairs.size(); ++p) {
                       const double target =
                           stats::target_win_rate(replicate.ratings[problem.pairs[p].over],
                                                  replicate.ratings[problem.pairs[p].ref]);
                       targets.push_back(std::clamp(target, kExtremeTarget, 1.0 - kExtremeTarget));
                       has_rows &= replicate.before[p].total > 0.0;
                     }
                     if (has_rows) replicate.offsets = solver.resolve(weights, targets, solution);
                     if (!progress) return;
                     const std::lock_guard lock(progress_mutex);
                     progress({.what = "bootstrap",
                               .done = ++num_done,
                               .total = options.bootstrap,
                               .unit = "resamples",
                               .detail = ""});
                   });
  return replicates;
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

void warn_about_pairs(const OffsetProblem& problem, std::vector<std::string>& warnings) {
  for (const OffsetPair& pair : problem.pairs) {
    if (pair.ref != problem.reference) continue;
    const std::string& over = problem.policies[pair.over];
    const std::string& ref = problem.policies[pair.ref];
    const auto [over_lo, over_hi] =
        std::minmax_element(pair.rows.over.begin(), pair.rows.over.end());
    const auto [ref_lo, ref_hi] = std::minmax_element(pair.rows.ref.begin(), pair.rows.ref.end());
    if (*over_lo > *ref_hi || *ref_lo > *over_hi) {
      warnings.push_back(
          fmt::format("the scores of '{}' [{}, {}] and '{}' [{}, {}] do not overlap: the offset is "
                      "definite, but check that both "
                      "come from the same reward model",
                      over, *over_lo, *over_hi, ref, *ref_lo, *ref_hi));
    }
    if (pair.rows.missing_over + pair.rows.missing_ref > 0) {
      warnings.push_back(fmt::format(
          "'{}' and '{}' share {} prompts; {} rows of the former and {} of the latter have no "
          "partner and are "
          "left out",
          over, ref, pair.rows.num_prompts, pair.rows.missing_ref, pair.rows.missing_over));
    }
  }
}

void warn_about_residual(const OffsetProblem& problem, const OffsetSolution& solution,
                         std::vector<std::string>& warnings) {
  if (problem.pairs.size() != 1 || problem.options.mode.kind != ModeKind::kSamePrompt) return;
  const double residual = solution.residuals.front();
  const auto num_rows = static_cast<double>(problem.pairs.front().rows.over.size());
  if (std::abs(residual) <= 1.0 / num_rows) return;
  warnings.push_back(
      fmt::format("the nearest win rate misses the target by {:.4g}, more than one row: many "
                  "differences of scores are equal; scores "
                  "in float32 would be finer",
                  residual));
}

void warn_about_bootstrap(std::span<const ArenaRating> ratings,
                          std::span<const Replicate> replicates,
                          std::vector<std::string>& warnings) {
  if (replicates.empty()) return;
  std::vector<std::string> exact;
  for (const ArenaRating& rating : ratings) {
    if (!rating.rating_lo || !rating.rating_hi) exact.push_back(rating.name);
  }
  if (!exact.empty()) {
    warnings.push_back(fmt::format("no rating interval for {}: taken as exact in the intervals",
                                   fmt::join(exact, ", ")));
  }
  const auto failed = std::count_if(replicates.begin(), replicates.end(),
                                    [](const Replicate& replicate) { return !replicate.offsets; });
  if (failed > 0) {
    warnings.push_back(
        fmt::format("{} of {} resamples have no offset; the offsets' intervals leave them out",
                    failed, replicates.size()));
  }
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
  const auto replicates =
      run_bootstrap(problem, *solver, solution, outcomes, ratings, scores.num_prompts(), progress);

  Calibration calibration;
  calibration.options = options;
  calibration.reference = problem.policies[reference];
  calibration.num_prompts = static_cast<std::int64_t>(scores.num_prompts());
  calibration.policies = calibrated_policies(problem, solution, ratings, replicates);
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
  warn_about_residual(problem, solution, calibration.warnings);
  warn_about_bootstrap(ratings, replicates, calibration.warnings);
  return calibration;
}

}  // namespace charm::calibrate
