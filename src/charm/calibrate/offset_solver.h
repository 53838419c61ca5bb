#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "charm/base/progress.h"
#include "charm/calibrate/least_squares.h"
#include "charm/calibrate/solve_options.h"
#include "charm/stats/interval.h"
#include "charm/stats/pair_table.h"
#include "charm/stats/paired_scores.h"

namespace charm::calibrate {

struct OffsetProblem {
  std::vector<std::string> policies;
  std::size_t reference = 0;
  std::vector<stats::PolicyPair> pairs;  ///< the reference, if included, on the `ref` side
  SolveOptions options;
};

/// The pairs of a table of scores, their weights adding up to 1. Throws kInput where a pair has too
/// few prompts or ratings imply a win rate that no finite offset attains.
OffsetProblem make_problem(const stats::PairedScores& scores, std::span<const ArenaRating> ratings,
                           std::size_t reference, const SolveOptions& options);

/// Targets nearer to 0 or 1 than this have no finite offset in float64: more than 3,600 Elo points
/// apart.
inline constexpr double kExtremeTarget = 1e-9;

struct OffsetSolution {
  std::vector<double> offsets;    ///< [policy], score units; 0 for the reference
  std::vector<double> residuals;  ///< [pair] win rate - target, in the mode's own win rate
  std::vector<double> slopes;  ///< [pair] of that win rate per score unit, smoothed where it is a
                               ///< step function; 0 for a single same-prompt pair
  std::vector<std::optional<stats::Interval>> plateaus;  ///< [policy], same-prompt only
};

/// [policy] the offsets that are equally optimal: a plateau of a step function, a single offset
/// where win rates are smooth; [0, 0] for the reference.
using OffsetPlateaus = std::vector<stats::Interval>;

/// Plateaus of width 0.
OffsetPlateaus point_plateaus(std::span<const double> offsets);

/// Solves one problem, and its bootstrap replicates. Immutable once built; safe to use from many
/// threads.
class OffsetSolver {
 public:
  virtual ~OffsetSolver() = default;

  /// Throws kInput where there is no solution.
  virtual OffsetSolution solve() const = 0;

  /// Offsets of one bootstrap replicate: `prompt_weights` [prompt], `targets` [pair]; `start` is
  /// the solution of `solve`. Empty where the replicate has no solution.
  virtual std::optional<OffsetPlateaus> resolve(std::span<const std::uint32_t> prompt_weights,
                                                std::span<const double> targets,
                                                const OffsetSolution& start) const = 0;
};

// Each keeps a reference to `problem`, which must outlive the solver.
/// The solver selected by the problem's options.
std::unique_ptr<OffsetSolver> make_solver(const OffsetProblem& problem);
std::unique_ptr<OffsetSolver> make_same_prompt_solver(const OffsetProblem& problem);
std::unique_ptr<OffsetSolver> make_smooth_solver(const OffsetProblem& problem);
std::unique_ptr<OffsetSolver> make_adam_solver(const OffsetProblem& problem);

/// The pairs as terms of the joint objective, with the given targets.
std::vector<PairTerm> pair_terms(const OffsetProblem& problem, std::span<const double> targets);

/// [row] weight of the row's prompt.
std::vector<double> row_weights(const stats::PairRows& rows,
                                std::span<const std::uint32_t> prompt_weights);

/// Offsets of all policies but one.
struct LeaveOneOutFit {
  std::size_t policy = 0;       ///< held out; never the reference
  std::vector<double> offsets;  ///< [policy of the problem]; 0 for the held-out one
};

/// Fits the problem once without each policy but the reference. Throws kUsage for fewer than three
/// policies.
std::vector<LeaveOneOutFit> leave_one_out_fits(const OffsetProblem& problem,
                                               const ProgressFn& progress = {});

}  // namespace charm::calibrate
