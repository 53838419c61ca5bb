#include <algorithm>
#include <cmath>
#include <utility>

#include "charm/base/error.h"
#include "charm/calibrate/least_squares.h"
#include "charm/calibrate/offset_solver.h"
#include "charm/calibrate/same_prompt_search.h"
#include "charm/calibrate/smooth_pairs.h"
#include "charm/calibrate/step_function.h"
#include "charm/stats/descriptive.h"

namespace charm::calibrate {
namespace {

// Smoothing bandwidth for the initialisation and the slopes of the joint search: it spans some
// n^(2/3) neighbouring rows, over which the slope of a step function exceeds the noise of single
// rows.
double smoothing_bandwidth(std::span<const double> sorted) {
  const double interquartile_range =
      stats::quantile_sorted(sorted, 0.75) - stats::quantile_sorted(sorted, 0.25);
  constexpr double kQuartilesInDeviations = 1.349;  // of a normal distribution
  const double deviation = interquartile_range > 0.0 ? interquartile_range / kQuartilesInDeviations
                                                     : stats::standard_deviation(sorted);
  return 0.5 * deviation / std::cbrt(static_cast<double>(sorted.size()));
}

class SamePromptSolver final : public OffsetSolver {
 public:
  explicit SamePromptSolver(const OffsetProblem& problem) : problem_(problem) {
    for (const stats::PolicyPair& pair : problem.pairs) {
      differences_.emplace_back(pair.rows.over, pair.rows.ref, problem.options.ties);
      curves_.push_back(differences_.back().curve());
      if (curves_.back().num_steps() < 2) {
        throw Error(ErrorKind::kInput,
                    "no offset of '{}' over '{}' gives a win rate between 0 and 1: the difference "
                    "of their scores is {} on all {} common prompts",
                    problem.policies[pair.over], problem.policies[pair.ref],
                    differences_.back().sorted().front(), pair.rows.num_prompts);
      }
    }
    if (problem.pairs.size() > 1) smooth();
  }

  OffsetSolution solve() const override {
    return problem_.pairs.size() == 1 ? solve_pair() : solve_jointly();
  }

  std::optional<OffsetPlateaus> resolve(std::span<const std::uint32_t> prompt_weights,
                                        std::span<const double> targets,
                                        const OffsetSolution& start) const override {
    std::vector<StepFunction> curves;
    for (std::size_t p = 0; p < problem_.pairs.size(); ++p) {
      curves.push_back(differences_[p].curve(row_weights(problem_.pairs[p].rows, prompt_weights)));
    }
    if (curves.size() > 1) return gauss_newton(curves, targets, start.offsets);
    const PlateauResult result = curves.front().best_plateau(targets.front());
    if (!result.plateau) return std::nullopt;
    OffsetPlateaus spans = point_plateaus(start.offsets);
    spans[problem_.pairs.front().over] = result.plateau->offsets;
    return spans;
  }

 private:
  OffsetSolution solve_pair() const {
    const stats::PolicyPair& pair = problem_.pairs.front();
    const PlateauResult result = curves_.front().best_plateau(pair.target);
    if (result.kind == PlateauResult::Kind::kUnbounded)
      throw_unbounded(pair, result.nearest_win_rate);
    OffsetSolution solution;
    solution.offsets.assign(problem_.policies.size(), 0.0);
    solution.plateaus.resize(problem_.policies.size());
    solution.offsets[pair.over] = result.plateau->offset;
    solution.plateaus[pair.over] = result.plateau->offsets;
    solution.residuals.push_back(result.plateau->win_rate - pair.target);
    solution.slopes.push_back(0.0);
    return solution;
  }

  OffsetSolution solve_jointly() const {
    std::vector<double> targets;
    std::vector<double> start(problem_.policies.size(), 0.0);
    for (std::size_t p = 0; p < problem_.pairs.size(); ++p) {
      const stats::PolicyPair& pair = problem_.pairs[p];
      targets.push_back(pair.target);
      if (pair.ref != problem_.reference) continue;
      start[pair.over] = curves_[p].best_plateau(pair.target).plateau->offset;
    }
    const auto terms = pair_terms(problem_, targets);
    const SamePromptObjective objective(curves_, terms, problem_.reference,
                                        problem_.policies.size());
    OffsetSolution solution;
    solution.offsets = search_offsets(
        objective, fit_offsets(smooth_curves_, terms, problem_.reference, std::move(start)));
    center_offsets(objective, solution.offsets);
    solution.plateaus.resize(problem_.policies.size());
    for (std::size_t policy = 0; policy < problem_.policies.size(); ++policy) {
      if (policy == problem_.reference) continue;
      solution.plateaus[policy] = plateau_of(objective, policy, solution.offsets);
      if (!solution.plateaus[policy]) {
        throw Error(ErrorKind::kInput,
                    "no finite offset of '{}': in the best joint solution it wins all or none of "
                    "its comparisons with every other policy",
                    problem_.policies[policy]);
      }
    }
    for (std::size_t p = 0; p < terms.size(); ++p) {
      solution.residuals.push_back(objective.residual(p, solution.offsets));
    }
    for (const PairValue& value : pair_values(smooth_curves_, terms, solution.offsets)) {
      solution.slopes.push_back(value.slope);
    }
    return solution;
  }

  // Gauss-Newton on a replicate's exact win rates with the slopes of the smoothed curves; stops
  // when the objective no longer decreases and keeps the best iterate.
  OffsetPlateaus gauss_newton(std::span<const StepFunction> curves, std::span<const double> targets,
                              std::vector<double> offsets) const {
    constexpr int kMaxSteps = 12;
    const auto terms = pair_terms(problem_, targets);
    std::vector<double> best = offsets;
    double best_value = -1.0;
    for (int step = 0; step < kMaxSteps; ++step) {
      auto values = pair_values(smooth_curves_, terms, offsets);
      for (std::size_t p = 0; p < terms.size(); ++p) {
        values[p].residual =
            curves[p].win_rate(offsets[terms[p].over] - offsets[terms[p].ref]) - terms[p].target;
      }
      const double value = sum_of_squares(terms, values);
      if (best_value >= 0.0 && value >= best_value) break;
      best_value = value;
      best = offsets;
      const auto change =
          least_squares_step(offsets.size(), problem_.reference, terms, values, 1e-6);
      for (std::size_t i = 0; i < offsets.size(); ++i) offsets[i] += change[i];
    }
    OffsetPlateaus spans = point_plateaus(best);
    const SamePromptObjective objective(curves, terms, problem_.reference, best.size());
    for (std::size_t policy = 0; policy < best.size(); ++policy) {
      if (policy == problem_.reference) continue;
      if (const auto plateau = plateau_of(objective, policy, best)) spans[policy] = *plateau;
    }
    return spans;
  }

  void smooth() {
    const std::vector<double> zero(1, 0.0);
    for (const SortedDifferences& differences : differences_) {
      const SmoothPairsOptions options{.temperature = smoothing_bandwidth(differences.sorted()),
                                       .block_rows = 0,
                                       .tolerance = 1e-9};
      smooth_curves_.push_back(make_smooth_pairs(differences.sorted(), zero, options)->curve());
    }
  }

  [[noreturn]] void throw_unbounded(const stats::PolicyPair& pair, double nearest) const {
    throw Error(ErrorKind::kInput,
                "no offset of '{}' over '{}' gives the target win rate {:.4g}: on {} common "
                "prompts the nearest win rate is {}, which every offset {} reaches; use more "
                "prompts or a reference with a nearer rating",
                problem_.policies[pair.over], problem_.policies[pair.ref], pair.target,
                pair.rows.num_prompts, nearest, nearest == 0.0 ? "low enough" : "high enough");
  }

  const OffsetProblem& problem_;
  std::vector<SortedDifferences> differences_;               // [pair]
  std::vector<StepFunction> curves_;                         // [pair]
  std::vector<std::unique_ptr<SmoothCurve>> smooth_curves_;  // [pair], joint problems only
};

}  // namespace

std::unique_ptr<OffsetSolver> make_same_prompt_solver(const OffsetProblem& problem) {
  return std::make_unique<SamePromptSolver>(problem);
}

}  // namespace charm::calibrate
