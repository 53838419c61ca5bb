#include "charm/calibrate/influence.h"

#include <algorithm>
#include <cmath>

#include "charm/base/check.h"
#include "charm/base/parallel.h"
#include "charm/calibrate/smooth_pairs.h"
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
    const OffsetPair& pair = problem.pairs[p];
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

std::vector<double> same_prompt_influence(const OffsetPair& pair, std::span<const double> offsets,
                                          stats::TieRule ties, std::size_t num_prompts) {
  const stats::Outcomes outcomes(pair.rows.over, pair.rows.ref, offsets[pair.over],
                                 offsets[pair.ref]);
  auto values = outcomes.values(ties);
  const double rate = stats::mean(values);
  for (double& value : values) value -= rate;
  return by_prompt(values, pair.rows, num_prompts);
}

// A prompt contributes to a smooth win rate with its row on either side: Hajek projections of the
// two-sample U-statistic on each side, block by block.
std::vector<double> smooth_influence(const OffsetPair& pair, std::span<const double> offsets,
                                     const SolveOptions& options, std::size_t num_prompts) {
  const stats::PairRows& rows = pair.rows;
  const double offset = offsets[pair.over] - offsets[pair.ref];
  const std::size_t num_rows = rows.over.size();
  std::vector<double> deviations(num_rows, 0.0);
  double rate = 0.0;
  for (const RowBlock& block : row_blocks(num_rows, options.mode.block_rows)) {
    const auto size = static_cast<double>(block.last - block.first);
    std::vector<double> over_means(block.last - block.first);
    std::vector<double> ref_means(block.last - block.first);
    const auto sigmoid = [&](std::size_t i, std::size_t j) {
      const double z = (rows.over[i] + offset - rows.ref[j]) / options.temperature;
      return 1.0 / (1.0 + std::exp(-z));
    };
    parallel_for(over_means.size(), options.num_threads, [&](std::size_t i) {
      for (std::size_t j = block.first; j < block.last; ++j) {
        over_means[i] += sigmoid(block.first + i, j) / size;
        ref_means[i] += sigmoid(j, block.first + i) / size;
      }
    });
    const double block_rate = stats::mean(over_means);
    rate += block_rate * size / static_cast<double>(num_rows);
    for (std::size_t i = 0; i < over_means.size(); ++i) {
      deviations[block.first + i] = over_means[i] + ref_means[i] - block_rate;
    }
  }
  for (double& deviation : deviations) deviation -= rate;
  return by_prompt(deviations, rows, num_prompts);
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

OffsetError single_pair_error(const OffsetProblem& problem, const OffsetSolution& solution,
                              const StepFunction& curve, double rate_error, double target_error) {
  const OffsetPair& pair = problem.pairs.front();
  const double half = stats::kNormal975 * std::hypot(rate_error, target_error);
  stats::Interval ci95{.lo = curve.interpolated_offset(pair.target - half),
                       .hi = curve.interpolated_offset(pair.target + half)};
  const double offset = solution.offsets[pair.over];
  ci95.lo = std::min(ci95.lo, offset);
  ci95.hi = std::max(ci95.hi, offset);
  return {.se = (ci95.hi - ci95.lo) / (2.0 * stats::kNormal975), .ci95 = ci95};
}

}  // namespace

std::vector<PairInfluence> pair_influences(const OffsetProblem& problem,
                                           const OffsetSolution& solution) {
  std::vector<PairInfluence> influences;
  if (problem.pairs.size() < 2 || solution.slopes.size() != problem.pairs.size()) return influences;
  const auto response = offset_response(problem, solution.slopes);
  for (std::size_t p = 0; p < problem.pairs.size(); ++p) {
    const OffsetPair& pair = problem.pairs[p];
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

std::vector<OffsetError> influence_errors(const OffsetProblem& problem,
                                          const OffsetSolution& solution,
                                          std::span<const ArenaRating> ratings,
                                          std::size_t num_prompts) {
  const SolveOptions& options = problem.options;
  const bool is_same_prompt = options.mode.kind == ModeKind::kSamePrompt;
  const auto rating_se = stats::rating_errors(ratings);
  const std::size_t num_policies = problem.policies.size();
  std::vector<std::vector<double>> influence;  // [pair][prompt]
  std::vector<double> slopes = solution.slopes;
  for (std::size_t p = 0; p < problem.pairs.size(); ++p) {
    const OffsetPair& pair = problem.pairs[p];
    if (!is_same_prompt) {
      influence.push_back(smooth_influence(pair, solution.offsets, options, num_prompts));
      continue;
    }
    influence.push_back(same_prompt_influence(pair, solution.offsets, options.ties, num_prompts));
    const double error = clustered_error(influence[p], pair.rows.num_prompts);
    const SortedDifferences differences(pair.rows.over, pair.rows.ref, options.ties);
    const StepFunction curve = differences.curve();
    if (problem.pairs.size() == 1) {
      const double target_error =
          stats::target_slope(pair.target) * std::hypot(rating_se[pair.over], rating_se[pair.ref]);
      std::vector<OffsetError> errors(num_policies);
      errors[pair.over] = single_pair_error(problem, solution, curve, error, target_error);
      return errors;
    }
    slopes[p] = step_slope(curve, pair.target + solution.residuals[p], error, pair.rows.num_prompts,
                           slopes[p]);
  }

  const auto response = offset_response(problem, slopes);
  std::vector<OffsetError> errors(num_policies);
  for (std::size_t policy = 0; policy < num_policies; ++policy) {
    std::vector<double> changes(num_prompts, 0.0);
    std::vector<double> rating_changes(num_policies, 0.0);  // per Elo point of each rating
    for (std::size_t p = 0; p < problem.pairs.size(); ++p) {
      const OffsetPair& pair = problem.pairs[p];
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
    const double error = std::hypot(
        clustered_error(changes, static_cast<std::int64_t>(num_prompts)), std::sqrt(variance));
    const double half = stats::kNormal975 * error;
    const double offset = solution.offsets[policy];
    errors[policy] = {.se = error, .ci95 = {.lo = offset - half, .hi = offset + half}};
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
