#include "charm/calibrate/same_prompt_search.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "charm/base/random.h"

namespace charm::calibrate {
namespace {

// Plateaus evaluated on each side and pair per coordinate update; enough to cross the noise of
// single rows.
constexpr std::size_t kPlateausPerPair = 24;
constexpr int kMaxSweeps = 100;
constexpr int kRestarts = 12;
// Improvements below this are rounding error: one row of a million changes a squared win rate by
// more.
constexpr double kMinImprovement = 1e-15;

// Moves one policy's offset to the best plateau nearby; true if the objective improved.
bool improve(const SamePromptObjective& objective, std::size_t policy,
             std::vector<double>& offsets) {
  const auto steps = objective.steps_near(policy, offsets, kPlateausPerPair);
  const double current = offsets[policy];
  double best = objective.part_of(policy, offsets) - kMinImprovement;
  double place = current;
  for (std::size_t s = 0; s + 1 < steps.size(); ++s) {
    if (steps[s] == steps[s + 1]) continue;
    offsets[policy] = 0.5 * (steps[s] + steps[s + 1]);
    const double value = objective.part_of(policy, offsets);
    if (value < best) {
      best = value;
      place = offsets[policy];
    }
  }
  offsets[policy] = place;
  return place != current;
}

void descend(const SamePromptObjective& objective, std::vector<double>& offsets) {
  bool improved = true;
  for (int sweep = 0; sweep < kMaxSweeps && improved; ++sweep) {
    improved = false;
    for (std::size_t policy = 0; policy < objective.num_policies(); ++policy) {
      if (policy != objective.reference()) improved |= improve(objective, policy, offsets);
    }
  }
}

}  // namespace

SamePromptObjective::SamePromptObjective(std::span<const StepFunction> curves,
                                         std::span<const PairTerm> terms, std::size_t reference,
                                         std::size_t num_policies)
    : curves_(curves), terms_(terms), reference_(reference), pairs_of_(num_policies) {
  for (std::size_t p = 0; p < terms.size(); ++p) {
    pairs_of_[terms[p].over].push_back(p);
    pairs_of_[terms[p].ref].push_back(p);
  }
}

double SamePromptObjective::residual(std::size_t pair, std::span<const double> offsets) const {
  const PairTerm& term = terms_[pair];
  return curves_[pair].win_rate(offsets[term.over] - offsets[term.ref]) - term.target;
}

double SamePromptObjective::term(std::size_t pair, std::span<const double> offsets) const {
  const PairTerm& term = terms_[pair];
  const auto [over, ref] = curves_[pair].both_win_rates(offsets[term.over] - offsets[term.ref]);
  const double from_over = over - term.target;
  const double from_ref = ref - (1.0 - term.target);
  return 0.5 * term.weight * (from_over * from_over + from_ref * from_ref);
}

double SamePromptObjective::at(std::span<const double> offsets) const {
  double sum = 0.0;
  for (std::size_t p = 0; p < terms_.size(); ++p) sum += term(p, offsets);
  return sum;
}

double SamePromptObjective::part_of(std::size_t policy, std::span<const double> offsets) const {
  double sum = 0.0;
  for (const std::size_t p : pairs_of_[policy]) sum += term(p, offsets);
  return sum;
}

std::vector<double> SamePromptObjective::steps_near(std::size_t policy,
                                                    std::span<const double> offsets,
                                                    std::size_t per_pair) const {
  std::vector<double> steps;
  for (const std::size_t p : pairs_of_[policy]) {
    const StepFunction& curve = curves_[p];
    const PairTerm& term = terms_[p];
    const std::size_t here = curve.first_step_at_or_below(offsets[term.over] - offsets[term.ref]);
    const std::size_t first = here > per_pair ? here - per_pair : 0;
    const std::size_t last = std::min(curve.num_steps(), here + per_pair);
    for (std::size_t s = first; s < last; ++s) {
      // A step of the pair is a value of o_over - o_ref.
      steps.push_back(policy == term.over ? offsets[term.ref] + curve.step(s)
                                          : offsets[term.over] - curve.step(s));
    }
  }
  std::sort(steps.begin(), steps.end());
  return steps;
}

std::vector<double> search_offsets(const SamePromptObjective& objective,
                                   std::vector<double> start) {
  std::vector<double> best = std::move(start);
  descend(objective, best);
  double best_value = objective.at(best);
  for (int restart = 0; restart < kRestarts; ++restart) {
    RandomStream stream(/*seed=*/0, "same-prompt search", static_cast<std::uint64_t>(restart));
    std::vector<double> offsets = best;
    for (std::size_t policy = 0; policy < offsets.size(); ++policy) {
      if (policy == objective.reference()) continue;
      const auto steps = objective.steps_near(policy, best, kPlateausPerPair);
      if (steps.size() < 2) continue;
      const std::size_t s = stream.below(steps.size() - 1);
      offsets[policy] = 0.5 * (steps[s] + steps[s + 1]);
    }
    descend(objective, offsets);
    const double value = objective.at(offsets);
    if (value < best_value - kMinImprovement) {
      best_value = value;
      best = std::move(offsets);
    }
  }
  return best;
}

std::optional<stats::Interval> plateau_of(const SamePromptObjective& objective, std::size_t policy,
                                          std::span<const double> offsets) {
  const auto steps = objective.steps_near(policy, offsets, 2);
  const auto above = std::lower_bound(steps.begin(), steps.end(), offsets[policy]);
  if (above == steps.begin() || above == steps.end()) return std::nullopt;
  return stats::Interval{.lo = *(above - 1), .hi = *above};
}

void center_offsets(const SamePromptObjective& objective, std::vector<double>& offsets) {
  for (std::size_t policy = 0; policy < objective.num_policies(); ++policy) {
    if (policy == objective.reference()) continue;
    const auto plateau = plateau_of(objective, policy, offsets);
    if (!plateau) continue;
    const double before = objective.part_of(policy, offsets);
    const double current = offsets[policy];
    offsets[policy] = 0.5 * (plateau->lo + plateau->hi);
    // An offset exactly on a step (coarse scores) may be optimal because of the ties there.
    if (objective.part_of(policy, offsets) > before + kMinImprovement) offsets[policy] = current;
  }
}

}  // namespace charm::calibrate
