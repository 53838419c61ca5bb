#include <algorithm>
#include <cmath>
#include <utility>

#include "charm/base/error.h"
#include "charm/base/progress.h"
#include "charm/calibrate/calibration.h"
#include "charm/calibrate/offset_solver.h"
#include "charm/stats/bootstrap.h"
#include "charm/stats/pair_table.h"

namespace charm::calibrate {
namespace {

// The problem without one policy; indices above it move down by one.
OffsetProblem without_policy(const OffsetProblem& problem, std::size_t held_out_policy) {
  OffsetProblem rest{.policies = problem.policies,
                     .reference = problem.reference,
                     .pairs = {},
                     .options = problem.options};
  const auto moved = [&](std::size_t policy) {
    return policy > held_out_policy ? policy - 1 : policy;
  };
  rest.policies.erase(rest.policies.begin() + static_cast<std::ptrdiff_t>(held_out_policy));
  rest.reference = moved(problem.reference);
  double total_weight = 0.0;
  for (const stats::PolicyPair& pair : problem.pairs) {
    if (pair.over == held_out_policy || pair.ref == held_out_policy) continue;
    rest.pairs.push_back(pair);
    rest.pairs.back().over = moved(pair.over);
    rest.pairs.back().ref = moved(pair.ref);
    total_weight += pair.weight;
  }
  for (stats::PolicyPair& pair : rest.pairs) pair.weight /= total_weight;
  return rest;
}

}  // namespace

std::vector<LeaveOneOutFit> leave_one_out_fits(const OffsetProblem& problem,
                                               const ProgressFn& progress) {
  if (problem.policies.size() < 3) {
    throw Error(ErrorKind::kUsage, "--leave-one-out needs three or more policies, found {}",
                problem.policies.size());
  }
  ProgressCounter done(progress, "leave-one-out fits",
                       static_cast<std::int64_t>(problem.policies.size() - 1), "policies");
  std::vector<LeaveOneOutFit> fits;
  for (std::size_t policy = 0; policy < problem.policies.size(); ++policy) {
    if (policy == problem.reference) continue;
    const OffsetProblem rest = without_policy(problem, policy);
    try {
      LeaveOneOutFit fit{.policy = policy, .offsets = make_solver(rest)->solve().offsets};
      fit.offsets.insert(fit.offsets.begin() + static_cast<std::ptrdiff_t>(policy), 0.0);
      fits.push_back(std::move(fit));
    } catch (const Error& error) {
      throw error.with_context(fmt::format("without '{}'", problem.policies[policy]));
    }
    done.advance();
  }
  return fits;
}

namespace {

// Effect of the others' offsets on the held-out policy, on one set of prompts. `policies`: names
// in the order of the fits' offsets; `with_all`: offsets of the joint fit.
HeldOutPolicyCheck check_held_out_policy(const LeaveOneOutFit& fit,
                                         std::span<const std::string> policies,
                                         std::span<const double> with_all,
                                         const stats::PairedScores& scores,
                                         std::span<const ArenaRating> ratings,
                                         const SolveOptions& options) {
  // The table may order the policies differently than the fit.
  const auto index_in_fit = [&](std::size_t policy) {
    const auto place = std::find(policies.begin(), policies.end(), scores.policy(policy).policy);
    return static_cast<std::size_t>(place - policies.begin());
  };
  const std::size_t held_out_policy = scores.index_of(policies[fit.policy]);
  std::vector<stats::PolicyPair> pairs;
  std::vector<double> others_offsets;
  std::vector<double> all_offsets;
  for (std::size_t other = 0; other < scores.num_policies(); ++other) {
    others_offsets.push_back(fit.offsets[index_in_fit(other)]);
    all_offsets.push_back(with_all[index_in_fit(other)]);
    if (other == held_out_policy) continue;
    pairs.push_back({.over = held_out_policy,
                     .ref = other,
                     .target = stats::target_win_rate(ratings[held_out_policy].rating_elo,
                                                      ratings[other].rating_elo),
                     .rows = scores.pair(held_out_policy, other)});
  }
  const stats::PairTable before(pairs);
  const stats::PairTable after(pairs, others_offsets);
  const auto count = static_cast<double>(pairs.size());
  const auto mean_of = [&](const stats::PairTable& table) {
    const auto counts = table.counts();
    double mean = 0.0;
    for (std::size_t p = 0; p < pairs.size(); ++p)
      mean += stats::abs_mismatch(counts[p], pairs[p].target, options.ties).mean() / count;
    return mean;
  };
  HeldOutPolicyCheck check{.num_prompts = static_cast<std::int64_t>(scores.num_prompts()),
                           .before = mean_of(before),
                           .after = mean_of(after),
                           .with_all = mean_of(stats::PairTable(pairs, all_offsets)),
                           .change_ci95 = {}};
  std::vector<double> changes(static_cast<std::size_t>(options.bootstrap));
  stats::bootstrap(changes.size(), options.seed, "leave one out", options.num_threads,
                   [&](std::size_t index, RandomStream& stream) {
                     const auto weights = stats::resample_prompts(scores.num_prompts(), stream);
                     const auto drawn = stats::draw_ratings(ratings, stream);
                     const auto counts_before = before.counts(weights);
                     const auto counts_after = after.counts(weights);
                     for (std::size_t p = 0; p < pairs.size(); ++p) {
                       if (counts_after[p].total == 0.0) continue;
                       const double target =
                           stats::target_win_rate(drawn[held_out_policy], drawn[pairs[p].ref]);
                       const auto mean_of_pair = [&](const stats::WinCount& wins) {
                         return stats::abs_mismatch(wins, target, options.ties).mean();
                       };
                       changes[index] +=
                           (mean_of_pair(counts_after[p]) - mean_of_pair(counts_before[p])) / count;
                     }
                   });
  if (!changes.empty()) check.change_ci95 = stats::percentile_interval(std::move(changes));
  return check;
}

}  // namespace

void leave_one_out(Calibration& calibration, const stats::PairedScores& scores,
                   std::span<const ArenaRating> ratings, const stats::PairedScores* held_out,
                   std::span<const ArenaRating> held_out_ratings, const ProgressFn& progress) {
  SolveOptions options = calibration.options;
  const OffsetProblem problem =
      make_problem(scores, ratings, scores.index_of(calibration.reference), options);
  std::vector<double> with_all;
  for (const CalibratedPolicy& policy : calibration.policies)
    with_all.push_back(policy.offset.value);
  for (const LeaveOneOutFit& fit : leave_one_out_fits(problem, progress)) {
    HeldOutPolicy result{
        .policy = problem.policies[fit.policy],
        .largest_offset_change = 0.0,
        .fit = check_held_out_policy(fit, problem.policies, with_all, scores, ratings, options),
        .held_out = {}};
    for (std::size_t p = 0; p < with_all.size(); ++p) {
      if (p == fit.policy) continue;
      result.largest_offset_change =
          std::max(result.largest_offset_change, std::abs(fit.offsets[p] - with_all[p]));
    }
    if (held_out != nullptr) {
      result.held_out = check_held_out_policy(fit, problem.policies, with_all, *held_out,
                                              held_out_ratings, options);
    }
    calibration.held_out_policies.push_back(std::move(result));
  }
}

}  // namespace charm::calibrate
