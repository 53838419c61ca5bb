#include "charm/calibrate/influence.h"

#include <algorithm>
#include <cmath>

#include "charm/base/check.h"
#include "charm/calibrate/step_function.h"
#include "charm/stats/descriptive.h"
#include "charm/stats/elo.h"
#include "charm/stats/interval.h"
#include "charm/stats/outcomes.h"

namespace charm::calibrate {
namespace {

// [pair][policy] derivative of the offsets with respect to a pair's win rate.
std::vector<std::vector<double>> offset_response(const OffsetProblem& problem,
                                                 std::span<const double> slopes) {
  std::vector<PairTerm> terms;
  std::vector<PairValue> values;
  for (std::size_t p = 0; p < problem.pairs.size(); ++p) {
    const stats::PolicyPair& pair = problem.pairs[p];
    terms.push_back(
        {.over = pair.over, .ref = pair.ref, .weight = pair.weight, .target = pair.target});
    values.push_back({.residual = 0.0, .slope = slopes[p]});
  }
  std::vector<std::vector<double>> response;
  for (PairValue& value : values) {
    value.residual = 1.0;
    response.push_back(least_squares_step(problem.policies.size(), problem.reference, terms, values,
                                          /*damping=*/0.0));
    value.residual = 0.0;
  }
  return response;
}

// Adds the rows' deviations to their prompts: the influence of each prompt on the mean.
std::vector<double> by_prompt(std::span<const double> deviations, const stats::PairRows& rows,
                              std::size_t num_prompts) {
  std::vector<double> influence(num_prompts, 0.0);
  const auto num_rows = static_cast<double>(deviations.size());
  for (std::size_t row = 0; row < deviations.size(); ++row) {
    influence[rows.prompt[row]] += deviations[row] / num_rows;
  }
  return influence;
}

std::vector<double> same_prompt_influence(const stats::PolicyPair& pair,
                                          std::span<const double> offsets, stats::TieRule ties,
                                          std::size_t num_prompts) {
  const stats::Outcomes outcomes(pair.rows.over, pair.rows.ref, offsets[pair.over],
                                 offsets[pair.ref]);
  auto values = outcomes.values(ties);
  const double rate = stats::mean(values);
  for (double& value : values) value -= rate;
  return by_prompt(values, pair.rows, num_prompts);
}

// sqrt(G / (G - 1) sum u_g^2) over the pair's prompts.
double clustered_error(std::span<const double> influence, std::int64_t num_prompts) {
  double squares = 0.0;
  for (const double u : influence) squares += u * u;
  const auto prompts = static_cast<double>(num_prompts);
  return std::sqrt(squares * prompts / (prompts - 1.0));
}

// Slope of a step function over the 95 % interval of the win rate.
double step_slope(const StepFunction& curve, double rate, double error, std::int64_t num_prompts,
                  double fallback) {
  const double edge = 0.5 / static_cast<double>(num_prompts);
  const double lo = std::max(rate - stats::kNormal975 * error, edge);
  const double hi = std::min(rate + stats::kNormal975 * error, 1.0 - edge);
  const stats::Interval offsets{.lo = curve.interpolated_offset(lo),
                                .hi = curve.interpolated_offset(hi)};
  return offsets.hi > offsets.lo && hi > lo ? (hi - lo) / (offsets.hi - offsets.lo) : fallback;
}

double single_pair_error(const OffsetProblem& problem, const OffsetSolution& solution,
                         const StepFunction& curve, double rate_error, double target_error) {
  const stats::PolicyPair& pair = problem.pairs.front();
  const double half = stats::kNormal975 * std::hypot(rate_error, target_error);
  stats::Interval ci95{.lo = curve.interpolated_offset(pair.target - half),
                       .hi = curve.interpolated_offset(pair.target + half)};
  const double offset = solution.offsets[pair.over];
  ci95.lo = std::min(ci95.lo, offset);
  ci95.hi = std::max(ci95.hi, offset);
  return (ci95.hi - ci95.lo) / (2.0 * stats::kNormal975);
}

}  // namespace

std::vector<PairInfluence> pair_influences(const OffsetProblem& problem,
                                           const OffsetSolution& solution) {
  std::vector<PairInfluence> influences;
  if (problem.pairs.size() < 2 || solution.slopes.size() != problem.pairs.size()) return influences;
  const auto response = offset_response(problem, solution.slopes);
  for (std::size_t p = 0; p < problem.pairs.size(); ++p) {
    const stats::PolicyPair& pair = problem.pairs[p];
    const double leverage = -solution.slopes[p] * (response[p][pair.over] - response[p][pair.ref]);
    PairInfluence entry{.leverage = std::clamp(leverage, 0.0, 1.0), .influence = {}};
    constexpr double kFullLeverage = 1.0 - 1e-9;
    if (leverage < kFullLeverage) {
      double largest = 0.0;
      for (const double change : response[p]) largest = std::max(largest, std::abs(change));
      entry.influence = largest * std::abs(solution.residuals[p]) / (1.0 - leverage);
    }
    influences.push_back(entry);
  }
  return influences;
}

std::vector<double> offset_errors(const OffsetProblem& problem, const OffsetSolution& solution,
                                  std::span<const ArenaRating> ratings, std::size_t num_prompts) {
  const SolveOptions& options = problem.options;
  const auto rating_se = stats::rating_errors(ratings);
  const std::size_t num_policies = problem.policies.size();
  std::vector<std::vector<double>> influence;  // [pair][prompt]
  std::vector<double> slopes = solution.slopes;
  for (std::size_t p = 0; p < problem.pairs.size(); ++p) {
    const stats::PolicyPair& pair = problem.pairs[p];
    influence.push_back(same_prompt_influence(pair, solution.offsets, options.ties, num_prompts));
    const double error = clustered_error(influence[p], pair.rows.num_prompts);
    const SortedDifferences differences(pair.rows.over, pair.rows.ref, options.ties);
    const StepFunction curve = differences.curve();
    if (problem.pairs.size() == 1) {
      const double target_error =
          stats::target_slope(pair.target) * std::hypot(rating_se[pair.over], rating_se[pair.ref]);
      std::vector<double> errors(num_policies, 0.0);
      errors[pair.over] = single_pair_error(problem, solution, curve, error, target_error);
      return errors;
    }
    slopes[p] = step_slope(curve, pair.target + solution.residuals[p], error, pair.rows.num_prompts,
                           slopes[p]);
  }

  const auto response = offset_response(problem, slopes);
  std::vector<double> errors(num_policies, 0.0);
  for (std::size_t policy = 0; policy < num_policies; ++policy) {
    std::vector<double> changes(num_prompts, 0.0);
    std::vector<double> rating_changes(num_policies, 0.0);  // per Elo point of each rating
    for (std::size_t p = 0; p < problem.pairs.size(); ++p) {
      const stats::PolicyPair& pair = problem.pairs[p];
      for (std::size_t g = 0; g < num_prompts; ++g)
        changes[g] += response[p][policy] * influence[p][g];
      const double per_elo = response[p][policy] * stats::target_slope(pair.target);
      rating_changes[pair.over] -= per_elo;
      rating_changes[pair.ref] += per_elo;
    }
    double variance = 0.0;
    for (std::size_t k = 0; k < num_policies; ++k) {
      variance += rating_changes[k] * rating_changes[k] * rating_se[k] * rating_se[k];
    }
    errors[policy] = std::hypot(clustered_error(changes, static_cast<std::int64_t>(num_prompts)),
                                std::sqrt(variance));
  }
  return errors;
}

Shrinkage shrink_to_zero(std::span<const double> estimates, std::span<const double> errors) {
  CHARM_CHECK(estimates.size() == errors.size(), "{} estimates, {} errors", estimates.size(),
              errors.size());
  double num_uncertain = 0.0;
  double largest = 0.0;
  for (std::size_t p = 0; p < estimates.size(); ++p) {
    if (errors[p] <= 0.0) continue;
    num_uncertain += 1.0;
    largest = std::max(largest, std::abs(estimates[p]));
  }
  // Decreasing in the prior variance.
  const auto excess = [&](double variance) {
    double sum = -num_uncertain;
    for (std::size_t p = 0; p < estimates.size(); ++p) {
      if (errors[p] > 0.0) sum += estimates[p] * estimates[p] / (variance + errors[p] * errors[p]);
    }
    return sum;
  };
  double lo = 0.0;
  double hi = largest * largest;  // there the sum is below the number of estimates
  if (excess(0.0) <= 0.0) hi = 0.0;
  for (int step = 0; step < 200 && hi > 0.0; ++step) {
    const double middle = 0.5 * (lo + hi);
    (excess(middle) > 0.0 ? lo : hi) = middle;
  }
  const double variance = 0.5 * (lo + hi);
  Shrinkage result{.prior_sd = std::sqrt(variance), .factors = {}, .values = {}, .errors = {}};
  for (std::size_t p = 0; p < estimates.size(); ++p) {
    const double noise = errors[p] * errors[p];
    const double factor = noise > 0.0 ? variance / (variance + noise) : 1.0;
    result.factors.push_back(factor);
    result.values.push_back(factor * estimates[p]);
    result.errors.push_back(std::sqrt(factor) * errors[p]);
  }
  return result;
}

}  // namespace charm::calibrate
