#include "charm/calibrate/replicates.h"

#include <algorithm>
#include <utility>

#include "charm/calibrate/influence.h"
#include "charm/stats/bootstrap.h"

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

std::optional<std::vector<double>> draw_offsets(const std::optional<OffsetPlateaus>& spans,
                                                RandomStream& stream) {
  if (!spans) return std::nullopt;
  std::vector<double> offsets;
  for (const stats::Interval& span : *spans)
    offsets.push_back(span.lo + (span.hi - span.lo) * stream.uniform());
  return offsets;
}

}  // namespace

std::vector<Replicate> run_bootstrap(const OffsetProblem& problem, const OffsetSolver* solver,
                                     const OffsetSolution& solution, const PairOutcomes& outcomes,
                                     std::span<const ArenaRating> ratings, std::size_t num_prompts,
                                     const ProgressFn& progress) {
  const SolveOptions& options = problem.options;
  std::vector<Replicate> replicates(static_cast<std::size_t>(options.bootstrap));
  ProgressCounter done(progress, "bootstrap", options.bootstrap, "resamples");
  stats::bootstrap_pairs(
      replicates.size(), options.seed, options.num_threads, num_prompts, ratings,
      [&](std::size_t index, stats::PairResample&& drawn, RandomStream& stream) {
        Replicate& replicate = replicates[index];
        replicate.ratings = std::move(drawn.ratings);
        replicate.before = outcomes.before.counts(drawn.weights);
        replicate.after = outcomes.after.counts(drawn.weights);
        std::vector<double> targets;
        bool has_rows = true;
        for (std::size_t p = 0; p < problem.pairs.size(); ++p) {
          const double target = stats::target_win_rate(replicate.ratings[problem.pairs[p].over],
                                                       replicate.ratings[problem.pairs[p].ref]);
          targets.push_back(std::clamp(target, kExtremeTarget, 1.0 - kExtremeTarget));
          has_rows &= replicate.before[p].total > 0.0;
        }
        if (has_rows && solver != nullptr)
          replicate.offsets =
              draw_offsets(solver->resolve(drawn.weights, targets, solution), stream);
        done.advance();
      });
  return replicates;
}

std::vector<results::Pair> calibrated_pairs(const OffsetProblem& problem,
                                            const OffsetSolution& solution,
                                            const PairOutcomes& outcomes,
                                            std::span<const ArenaRating> ratings,
                                            std::span<const Replicate> replicates) {
  const auto influences = pair_influences(problem, solution);
  return stats::ordered_results(
      {.pairs = problem.pairs,
       .names = problem.policies,
       .ratings = ratings,
       .before = outcomes.before,
       .after = &outcomes.after,
       .replicates = replicates,
       .ties = problem.options.ties},
      [&](const stats::OrderedPair& ordered, std::size_t pair, results::Pair& result) {
        result.residual = residual_of(problem, solution, pair, ordered.is_mirrored, result);
        if (influences.empty()) return;
        result.leverage = influences[pair].leverage;
        result.influence = influences[pair].influence;
      });
}

}  // namespace charm::calibrate
