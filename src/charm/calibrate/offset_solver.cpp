#include "charm/calibrate/offset_solver.h"

#include "charm/base/error.h"

namespace charm::calibrate {

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

}  // namespace charm::calibrate
