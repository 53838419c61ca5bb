#include "charm/calibrate/replicates.h"

#include <algorithm>
#include <mutex>

#include "charm/calibrate/calibration_pairs.h"
#include "charm/stats/bootstrap.h"

namespace charm::calibrate {

std::vector<Replicate> run_bootstrap(const OffsetProblem& problem, const OffsetSolver* solver,
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
                     if (has_rows && solver != nullptr)
                       replicate.offsets = solver->resolve(weights, targets, solution);
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

}  // namespace charm::calibrate
