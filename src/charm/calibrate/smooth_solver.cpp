#include <utility>

#include "charm/calibrate/least_squares.h"
#include "charm/calibrate/offset_solver.h"
#include "charm/calibrate/smooth_pairs.h"

namespace charm::calibrate {
namespace {

constexpr double kSolutionTolerance = 1e-14;
// The bootstrap's Monte Carlo error is some 1e-3; this tolerance halves its cost.
constexpr double kReplicateTolerance = 1e-9;

class SmoothSolver final : public OffsetSolver {
 public:
  explicit SmoothSolver(const OffsetProblem& problem) : problem_(problem) {
    if (problem.options.bootstrap == 0) return;
    for (const stats::PolicyPair& pair : problem.pairs) {
      replicate_pairs_.push_back(make_pairs(pair, kReplicateTolerance));
    }
  }

  OffsetSolution solve() const override {
    std::vector<std::unique_ptr<SmoothCurve>> curves;
    std::vector<double> targets;
    for (std::size_t p = 0; p < problem_.pairs.size(); ++p) {
      curves.push_back(make_pairs(problem_.pairs[p], kSolutionTolerance)->curve());
      targets.push_back(problem_.pairs[p].target);
    }
    OffsetSolution solution;
    solution.offsets.assign(problem_.policies.size(), 0.0);
    solution.plateaus.resize(problem_.policies.size());
    solve_pairs_with_reference(curves, targets, solution.offsets);
    const auto terms = pair_terms(problem_, targets);
    if (terms.size() > 1) {
      solution.offsets =
          fit_offsets(curves, terms, problem_.reference, std::move(solution.offsets));
    }
    for (const PairValue& value : pair_values(curves, terms, solution.offsets)) {
      solution.residuals.push_back(value.residual);
      solution.slopes.push_back(value.slope);
    }
    return solution;
  }

  std::optional<OffsetPlateaus> resolve(std::span<const std::uint32_t> prompt_weights,
                                        std::span<const double> targets,
                                        const OffsetSolution& start) const override {
    std::vector<std::unique_ptr<SmoothCurve>> curves;
    for (std::size_t p = 0; p < problem_.pairs.size(); ++p) {
      const auto weights = row_weights(problem_.pairs[p].rows, prompt_weights);
      curves.push_back(replicate_pairs_[p]->curve(weights, weights));
    }
    std::vector<double> offsets = start.offsets;
    const auto terms = pair_terms(problem_, targets);
    if (terms.size() > 1) {
      return point_plateaus(fit_offsets(curves, terms, problem_.reference, std::move(offsets)));
    }
    solve_pairs_with_reference(curves, targets, offsets);
    return point_plateaus(std::move(offsets));
  }

 private:
  std::unique_ptr<SmoothPairs> make_pairs(const stats::PolicyPair& pair, double tolerance) const {
    return make_smooth_pairs(pair.rows.over, pair.rows.ref,
                             {.temperature = problem_.options.temperature,
                              .block_rows = problem_.options.mode.block_rows,
                              .tolerance = tolerance});
  }

  // Each policy alone against the reference: the solution for two policies, the initial value for
  // more.
  void solve_pairs_with_reference(std::span<const std::unique_ptr<SmoothCurve>> curves,
                                  std::span<const double> targets,
                                  std::vector<double>& offsets) const {
    for (std::size_t p = 0; p < problem_.pairs.size(); ++p) {
      const stats::PolicyPair& pair = problem_.pairs[p];
      if (pair.ref != problem_.reference) continue;
      const Bracket bracket =
          root_bracket(pair.rows.over, pair.rows.ref, targets[p], problem_.options.temperature);
      offsets[pair.over] = find_root(*curves[p], targets[p], bracket, offsets[pair.over]);
    }
  }

  const OffsetProblem& problem_;
  std::vector<std::unique_ptr<SmoothPairs>> replicate_pairs_;  // [pair], only for a bootstrap
};

}  // namespace

std::unique_ptr<OffsetSolver> make_smooth_solver(const OffsetProblem& problem) {
  return std::make_unique<SmoothSolver>(problem);
}

}  // namespace charm::calibrate
