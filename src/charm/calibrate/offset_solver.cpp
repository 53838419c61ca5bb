#include "charm/calibrate/offset_solver.h"

#include <utility>

#include "charm/base/error.h"
#include "charm/stats/elo.h"

namespace charm::calibrate {

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
        throw Error(ErrorKind::kInput,
                    "ratings {} of '{}' and {} of '{}' imply a win rate of {}; no finite offset "
                    "attains that",
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

OffsetPlateaus point_plateaus(std::span<const double> offsets) {
  OffsetPlateaus spans;
  for (const double offset : offsets) spans.push_back({.lo = offset, .hi = offset});
  return spans;
}

std::vector<PairTerm> pair_terms(const OffsetProblem& problem, std::span<const double> targets) {
  std::vector<PairTerm> terms;
  for (std::size_t p = 0; p < problem.pairs.size(); ++p) {
    const OffsetPair& pair = problem.pairs[p];
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
