#include "charm/calibrate/calibration_pairs.h"

#include <cmath>
#include <map>
#include <utility>

#include "charm/calibrate/influence.h"
#include "charm/stats/elo.h"
#include "charm/stats/interval.h"

namespace charm::calibrate {
namespace {

// Win rate - target of an ordered pair. Smooth win rates of the two directions add up to 1;
// same-prompt ones only without ties.
double residual_of(const OffsetProblem& problem, const OffsetSolution& solution, std::size_t pair,
                   bool is_mirrored, const results::Pair& result) {
  if (problem.options.mode.kind == ModeKind::kSamePrompt)
    return result.after->win_rate.value - result.target.value;
  return is_mirrored ? -solution.residuals[pair] : solution.residuals[pair];
}

void add_intervals(results::Pair& result, const stats::OrderedPair& ordered, std::size_t pair,
                   std::span<const Replicate> replicates, stats::TieRule ties) {
  std::vector<double> targets;
  stats::RateReplicates before;
  stats::RateReplicates after;
  for (const Replicate& replicate : replicates) {
    if (replicate.before[pair].total == 0.0) continue;
    targets.push_back(stats::target_win_rate(replicate.ratings[ordered.policy()],
                                             replicate.ratings[ordered.reference()]));
    before.add(ordered.oriented(replicate.before[pair]), targets.back(), ties);
    after.add(ordered.oriented(replicate.after[pair]), targets.back(), ties);
  }
  result.target.ci95 = stats::replicate_interval(targets);
  before.set_intervals(result.before);
  after.set_intervals(*result.after);
}

}  // namespace

std::vector<results::Pair> calibrated_pairs(const OffsetProblem& problem,
                                            const OffsetSolution& solution,
                                            const PairOutcomes& outcomes,
                                            std::span<const ArenaRating> ratings,
                                            std::span<const Replicate> replicates) {
  const auto before = outcomes.before.counts();
  const auto after = outcomes.after.counts();
  const auto influences = pair_influences(problem, solution);
  const stats::TieRule ties = problem.options.ties;
  std::map<std::pair<std::size_t, std::size_t>, results::Pair> cells;  // (policy, reference)
  for (std::size_t p = 0; p < problem.pairs.size(); ++p) {
    for (const bool is_mirrored : {false, true}) {
      const stats::OrderedPair ordered{problem.pairs[p], is_mirrored};
      results::Pair& result = cells[{ordered.policy(), ordered.reference()}];
      result = ordered.result(problem.policies, ratings, before[p], ties);
      result.after = stats::pair_rates(ordered.oriented(after[p]), result.target.value, ties);
      result.residual = residual_of(problem, solution, p, is_mirrored, result);
      add_intervals(result, ordered, p, replicates, ties);
      if (influences.empty()) continue;
      result.leverage = influences[p].leverage;
      result.influence = influences[p].influence;
    }
  }
  std::vector<results::Pair> pairs;
  for (auto& [place, pair] : cells) pairs.push_back(std::move(pair));
  return pairs;
}

}  // namespace charm::calibrate
