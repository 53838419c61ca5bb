#include "charm/calibrate/calibration_pairs.h"

#include <cmath>

#include "charm/calibrate/influence.h"
#include "charm/stats/elo.h"
#include "charm/stats/interval.h"

namespace charm::calibrate {
namespace {

using stats::WinCount;

std::optional<stats::Interval> interval(const std::vector<double>& values) {
  if (values.empty()) return std::nullopt;
  return stats::percentile_interval(values);
}

// One ordered pair; `is_mirrored`: the problem's pair with its policies swapped.
class OrderedPair {
 public:
  OrderedPair(const OffsetProblem& problem, std::size_t pair, bool is_mirrored)
      : problem_(problem), pair_(pair), is_mirrored_(is_mirrored) {
    policy_ = is_mirrored ? problem.pairs[pair].ref : problem.pairs[pair].over;
    reference_ = is_mirrored ? problem.pairs[pair].over : problem.pairs[pair].ref;
  }

  CalibratedPair result(const OffsetSolution& solution, const std::vector<WinCount>& before,
                        const std::vector<WinCount>& after, std::span<const ArenaRating> ratings,
                        std::span<const Replicate> replicates) const {
    const stats::TieRule ties = problem_.options.ties;
    const stats::PairRows& rows = problem_.pairs[pair_].rows;
    const WinCount count_before = oriented(before[pair_]);
    const WinCount count_after = oriented(after[pair_]);
    CalibratedPair result;
    result.policy = problem_.policies[policy_];
    result.reference = problem_.policies[reference_];
    result.num_prompts = rows.num_prompts;
    result.missing_policy = is_mirrored_ ? rows.missing_ref : rows.missing_over;
    result.missing_reference = is_mirrored_ ? rows.missing_over : rows.missing_ref;
    result.target_win_rate =
        stats::target_win_rate(ratings[policy_].rating_elo, ratings[reference_].rating_elo);
    result.win_rate_before = count_before.win_rate(ties);
    result.win_rate_after = count_after.win_rate(ties);
    result.mismatch_before = stats::mismatch_degree(result.win_rate_before, result.target_win_rate);
    result.mismatch_after = stats::mismatch_degree(result.win_rate_after, result.target_win_rate);
    result.ties_before = std::llround(count_before.ties);
    result.ties_after = std::llround(count_after.ties);
    result.residual = residual(solution, result);
    add_intervals(result, replicates);
    return result;
  }

 private:
  WinCount oriented(const WinCount& count) const { return is_mirrored_ ? count.mirrored() : count; }

  // Smooth win rates of the two directions add up to 1; same-prompt ones only without ties.
  double residual(const OffsetSolution& solution, const CalibratedPair& result) const {
    if (problem_.options.mode.kind == ModeKind::kSamePrompt) {
      return result.win_rate_after - result.target_win_rate;
    }
    return is_mirrored_ ? -solution.residuals[pair_] : solution.residuals[pair_];
  }

  void add_intervals(CalibratedPair& result, std::span<const Replicate> replicates) const {
    const stats::TieRule ties = problem_.options.ties;
    std::vector<double> targets;
    std::vector<double> win_rates_before;
    std::vector<double> win_rates_after;
    std::vector<double> mismatches_before;
    std::vector<double> mismatches_after;
    for (const Replicate& replicate : replicates) {
      if (replicate.before[pair_].total == 0.0) continue;
      const double target =
          stats::target_win_rate(replicate.ratings[policy_], replicate.ratings[reference_]);
      targets.push_back(target);
      win_rates_before.push_back(oriented(replicate.before[pair_]).win_rate(ties));
      win_rates_after.push_back(oriented(replicate.after[pair_]).win_rate(ties));
      mismatches_before.push_back(stats::mismatch_degree(win_rates_before.back(), target));
      mismatches_after.push_back(stats::mismatch_degree(win_rates_after.back(), target));
    }
    result.target_ci95 = interval(targets);
    result.win_rate_before_ci95 = interval(win_rates_before);
    result.win_rate_after_ci95 = interval(win_rates_after);
    result.mismatch_before_ci95 = interval(mismatches_before);
    result.mismatch_after_ci95 = interval(mismatches_after);
  }

  const OffsetProblem& problem_;
  std::size_t pair_;
  bool is_mirrored_;
  std::size_t policy_;
  std::size_t reference_;
};

}  // namespace

PairOutcomes::PairOutcomes(const OffsetProblem& problem, std::span<const double> offsets)
    : problem_(problem) {
  for (const OffsetPair& pair : problem.pairs) {
    before_.emplace_back(pair.rows.over, pair.rows.ref);
    after_.emplace_back(pair.rows.over, pair.rows.ref, offsets[pair.over], offsets[pair.ref]);
  }
}

std::vector<WinCount> PairOutcomes::before() const {
  std::vector<WinCount> counts;
  for (const stats::Outcomes& outcomes : before_) counts.push_back(outcomes.count());
  return counts;
}

std::vector<WinCount> PairOutcomes::after() const {
  std::vector<WinCount> counts;
  for (const stats::Outcomes& outcomes : after_) counts.push_back(outcomes.count());
  return counts;
}

std::vector<WinCount> PairOutcomes::before(std::span<const std::uint32_t> prompt_weights) const {
  return count(before_, prompt_weights);
}

std::vector<WinCount> PairOutcomes::after(std::span<const std::uint32_t> prompt_weights) const {
  return count(after_, prompt_weights);
}

std::vector<WinCount> PairOutcomes::count(std::span<const stats::Outcomes> outcomes,
                                          std::span<const std::uint32_t> prompt_weights) const {
  std::vector<WinCount> counts;
  for (std::size_t p = 0; p < outcomes.size(); ++p) {
    counts.push_back(outcomes[p].count(problem_.pairs[p].rows.prompt, prompt_weights));
  }
  return counts;
}

std::vector<CalibratedPair> calibrated_pairs(const OffsetProblem& problem,
                                             const OffsetSolution& solution,
                                             const PairOutcomes& outcomes,
                                             std::span<const ArenaRating> ratings,
                                             std::span<const Replicate> replicates) {
  const auto before = outcomes.before();
  const auto after = outcomes.after();
  const std::size_t num_policies = problem.policies.size();
  const auto influences = pair_influences(problem, solution);
  std::vector<std::vector<CalibratedPair>> cells(num_policies * num_policies);
  for (std::size_t p = 0; p < problem.pairs.size(); ++p) {
    const OffsetPair& pair = problem.pairs[p];
    for (const bool is_mirrored : {false, true}) {
      const std::size_t row = is_mirrored ? pair.ref : pair.over;
      const std::size_t column = is_mirrored ? pair.over : pair.ref;
      cells[row * num_policies + column].push_back(
          OrderedPair(problem, p, is_mirrored)
              .result(solution, before, after, ratings, replicates));
      CalibratedPair& result = cells[row * num_policies + column].back();
      if (influences.empty()) continue;
      result.leverage = influences[p].leverage;
      result.influence = influences[p].influence;
    }
  }
  std::vector<CalibratedPair> pairs;
  for (auto& cell : cells) pairs.insert(pairs.end(), cell.begin(), cell.end());
  return pairs;
}

}  // namespace charm::calibrate
