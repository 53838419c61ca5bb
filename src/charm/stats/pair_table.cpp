#include "charm/stats/pair_table.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "charm/stats/elo.h"
#include "charm/stats/interval.h"

namespace charm::stats {
namespace {

// Mean of |X / n - e| for X binomial(n, e), by de Moivre's closed form:
//     E|X - n e| = 2 (m + 1) C(n, m + 1) e^(m + 1) (1 - e)^(n - m),    m = floor(n e)
double mean_deviation(std::int64_t num_prompts, double e) {
  const auto n = static_cast<double>(num_prompts);
  if (num_prompts <= 0 || e <= 0.0 || e >= 1.0) return 0.0;
  const double m = std::floor(n * e);
  const double log_choose = std::lgamma(n + 1.0) - std::lgamma(m + 2.0) - std::lgamma(n - m);
  return 2.0 * (m + 1.0) / n *
         std::exp(log_choose + (m + 1.0) * std::log(e) + (n - m) * std::log1p(-e));
}

// Intervals of an ordered pair's target and rates.
void set_intervals(results::Pair& result, const OrderedPair& ordered, std::size_t pair,
                   const PairStatistics& statistics) {
  std::vector<double> targets;
  RateReplicates before, after;
  for (const PairReplicate& replicate : statistics.replicates) {
    if (replicate.before[pair].total == 0.0) continue;
    targets.push_back(target_win_rate(replicate.ratings[ordered.policy()],
                                      replicate.ratings[ordered.reference()]));
    before.add(ordered.oriented(replicate.before[pair]), targets.back(), statistics.ties);
    if (result.after)
      after.add(ordered.oriented(replicate.after[pair]), targets.back(), statistics.ties);
  }
  result.target.ci95 = replicate_interval(targets);
  before.set_intervals(result.before);
  if (result.after) after.set_intervals(*result.after);
}

}  // namespace

std::vector<PolicyPair> policy_pairs(const PairedScores& scores,
                                     std::span<const ArenaRating> ratings,
                                     std::optional<std::size_t> reference) {
  std::vector<PolicyPair> pairs;
  for (std::size_t i = 0; i < scores.num_policies(); ++i) {
    for (std::size_t j = i + 1; j < scores.num_policies(); ++j) {
      PolicyPair& pair = pairs.emplace_back();
      pair.over = i == reference ? j : i;
      pair.ref = i == reference ? i : j;
      pair.target = target_win_rate(ratings[pair.over].rating_elo, ratings[pair.ref].rating_elo);
      pair.rows = scores.pair(pair.over, pair.ref);
    }
  }
  return pairs;
}

PairTable::PairTable(std::span<const PolicyPair> pairs, std::span<const double> offsets)
    : pairs_(pairs) {
  const auto offset_of = [&](std::size_t policy) {
    return offsets.empty() ? 0.0 : offsets[policy];
  };
  for (const PolicyPair& pair : pairs) {
    outcomes_.emplace_back(pair.rows.over, pair.rows.ref, offset_of(pair.over),
                           offset_of(pair.ref));
  }
}

std::vector<WinCount> PairTable::counts() const {
  std::vector<WinCount> counts;
  counts.reserve(outcomes_.size());
  for (const Outcomes& outcomes : outcomes_) counts.push_back(outcomes.count());
  return counts;
}

std::vector<WinCount> PairTable::counts(std::span<const std::uint32_t> prompt_weights) const {
  std::vector<WinCount> counts;
  counts.reserve(outcomes_.size());
  for (std::size_t p = 0; p < outcomes_.size(); ++p) {
    counts.push_back(outcomes_[p].count(pairs_[p].rows.prompt, prompt_weights));
  }
  return counts;
}

results::Pair OrderedPair::result(std::span<const std::string> names,
                                  std::span<const ArenaRating> ratings, const WinCount& count,
                                  TieRule ties) const {
  results::Pair result;
  result.policy = names[policy()];
  result.reference = names[reference()];
  result.num_prompts = pair.rows.num_prompts;
  result.num_rows = static_cast<std::int64_t>(pair.rows.over.size());
  result.missing_policy = is_mirrored ? pair.rows.missing_ref : pair.rows.missing_over;
  result.missing_reference = is_mirrored ? pair.rows.missing_over : pair.rows.missing_ref;
  result.target.value =
      target_win_rate(ratings[policy()].rating_elo, ratings[reference()].rating_elo);
  result.before = pair_rates(oriented(count), result.target.value, ties);
  return result;
}

results::PairRates pair_rates(const WinCount& count, double target, TieRule ties) {
  const double win_rate = count.win_rate(ties);
  return {.win_rate = {.value = win_rate, .ci95 = {}},
          .mismatch = {.value = mismatch_degree(win_rate, target), .ci95 = {}},
          .ties = std::llround(count.ties)};
}

void RateReplicates::add(const WinCount& count, double target, TieRule ties) {
  win_rates.push_back(count.win_rate(ties));
  mismatches.push_back(mismatch_degree(win_rates.back(), target));
}

void RateReplicates::set_intervals(results::PairRates& rates) const {
  rates.win_rate.ci95 = replicate_interval(win_rates);
  rates.mismatch.ci95 = replicate_interval(mismatches);
}

std::vector<results::Pair> ordered_results(
    const PairStatistics& statistics,
    const std::function<void(const OrderedPair&, std::size_t pair, results::Pair&)>& add) {
  const std::vector<WinCount> before = statistics.before.counts();
  std::vector<WinCount> after;
  if (statistics.after != nullptr) after = statistics.after->counts();
  std::map<std::pair<std::size_t, std::size_t>, results::Pair> cells;  // (policy, reference)
  for (std::size_t p = 0; p < statistics.pairs.size(); ++p) {
    for (const bool is_mirrored : {false, true}) {
      const OrderedPair ordered{statistics.pairs[p], is_mirrored};
      results::Pair& result = cells[{ordered.policy(), ordered.reference()}];
      result = ordered.result(statistics.names, statistics.ratings, before[p], statistics.ties);
      if (statistics.after != nullptr)
        result.after = pair_rates(ordered.oriented(after[p]), result.target.value, statistics.ties);
      set_intervals(result, ordered, p, statistics);
      add(ordered, p, result);
    }
  }
  std::vector<results::Pair> results;
  for (auto& [place, pair] : cells) results.push_back(std::move(pair));
  return results;
}

AbsMismatch abs_mismatch(double win_rate, double mirrored_win_rate, double target) {
  return {.forward = std::abs(mismatch_degree(win_rate, target)),
          .mirrored = std::abs(mismatch_degree(mirrored_win_rate, 1.0 - target))};
}

AbsMismatch abs_mismatch(const WinCount& count, double target, TieRule ties) {
  return abs_mismatch(count.win_rate(ties), count.mirrored().win_rate(ties), target);
}

results::MeanMismatch mean_mismatch(std::span<const results::Pair> pairs,
                                    std::span<const results::Pair> other_pairs) {
  results::MeanMismatch mean;
  for (const auto& list : {pairs, other_pairs}) {
    for (const results::Pair& pair : list) {
      const double e = pair.target.value;
      mean.before += std::abs(pair.before.mismatch.value);
      if (pair.after) mean.after += std::abs(pair.after->mismatch.value);
      mean.sampling_noise += mean_deviation(pair.num_prompts, e) / std::max(e, 1.0 - e);
    }
  }
  const auto count = static_cast<double>(pairs.size() + other_pairs.size());
  if (count == 0.0) return mean;
  return {.before = mean.before / count,
          .after = mean.after / count,
          .sampling_noise = mean.sampling_noise / count};
}

}  // namespace charm::stats
