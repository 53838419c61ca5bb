#include "charm/stats/vote_pairs.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "charm/stats/bootstrap.h"
#include "charm/stats/elo.h"
#include "charm/stats/hypothesis_tests.h"
#include "charm/stats/interval.h"
#include "charm/stats/outcomes.h"
#include "charm/stats/pair_table.h"

namespace charm::stats {
namespace {

// 1, 0.5 or 0 for the reward model, from a's side.
double model_outcome(double a, double b) { return a > b ? 1.0 : a < b ? 0.0 : 0.5; }

double corrected_outcome(const VoteTable& table, std::size_t row,
                         const VoteCorrection& correction) {
  const VoteRow& vote = table.rows[row];
  if (correction.empty()) return model_outcome(vote.score_a, vote.score_b);
  double style = 0.0;
  for (std::size_t f = 0; f < kNumStyles && !table.styles.empty(); ++f)
    style += correction.style_weights[f] * table.styles[row][f];
  return model_outcome(vote.score_a + correction.offsets[vote.a] + correction.temperature * style,
                       vote.score_b + correction.offsets[vote.b]);
}

// One vote of an unordered pair, from the side of its first policy.
struct SidedVote {
  double people = 0.5;
  double before = 0.5;
  double after = 0.5;
  std::uint32_t prompt = 0;
};

// Sums over (resampled) votes of a pair.
struct VoteSums {
  double people = 0.0;
  double agreeing = 0.0;  // of the decided votes
  double decided = 0.0;
  WinCount before;
  WinCount after;

  void add(const SidedVote& vote, double weight) {
    people += weight * vote.people;
    if (vote.people != 0.5) {
      agreeing += weight * (vote.people == 1.0 ? vote.before : 1.0 - vote.before);
      decided += weight;
    }
    for (auto [count, outcome] : {std::pair{&before, vote.before}, std::pair{&after, vote.after}}) {
      count->wins += outcome == 1.0 ? weight : 0.0;
      count->ties += outcome == 0.5 ? weight : 0.0;
      count->total += weight;
    }
  }
  VoteSums mirrored() const {
    return {.people = before.total - people,
            .agreeing = agreeing,
            .decided = decided,
            .before = before.mirrored(),
            .after = after.mirrored()};
  }
  double target() const { return people / before.total; }
};

struct VotedPair {
  std::uint32_t policy = 0;
  std::uint32_t reference = 0;
  std::vector<SidedVote> votes;

  VoteSums sums() const {
    VoteSums sums;
    for (const SidedVote& vote : votes) sums.add(vote, 1.0);
    return sums;
  }
  VoteSums sums(std::span<const std::uint32_t> prompt_weights) const {
    VoteSums sums;
    for (const SidedVote& vote : votes) {
      if (const std::uint32_t weight = prompt_weights[vote.prompt])
        sums.add(vote, static_cast<double>(weight));
    }
    return sums;
  }
};

std::vector<VotedPair> voted_pairs(const VoteTable& table, const VoteCorrection& correction) {
  std::map<std::pair<std::uint32_t, std::uint32_t>, VotedPair> pairs;
  for (std::size_t r = 0; r < table.rows.size(); ++r) {
    const VoteRow& row = table.rows[r];
    const bool is_swapped = row.b < row.a;
    VotedPair& pair = pairs[std::minmax(row.a, row.b)];
    std::tie(pair.policy, pair.reference) = std::pair(std::minmax(row.a, row.b));
    const auto sided = [&](double outcome) { return is_swapped ? 1.0 - outcome : outcome; };
    pair.votes.push_back({.people = sided(row.outcome),
                          .before = sided(model_outcome(row.score_a, row.score_b)),
                          .after = sided(corrected_outcome(table, r, correction)),
                          .prompt = row.prompt});
  }
  std::vector<VotedPair> list;
  for (auto& [key, pair] : pairs) list.push_back(std::move(pair));
  return list;
}

// The votes of a pair from the side of one of its policies, prompts numbered from 0.
struct PairColumns {
  std::vector<double> people;
  std::vector<double> before;
  std::vector<double> after;
  std::vector<std::uint32_t> prompts;
};

PairColumns columns_of(const VotedPair& pair, bool is_mirrored, TieRule ties) {
  PairColumns columns;
  const auto model = [&](double outcome) {
    const double sided = is_mirrored ? 1.0 - outcome : outcome;
    return sided == 0.5 && ties == TieRule::kLoss ? 0.0 : sided;
  };
  for (const SidedVote& vote : pair.votes) {
    columns.people.push_back(is_mirrored ? 1.0 - vote.people : vote.people);
    columns.before.push_back(model(vote.before));
    columns.after.push_back(model(vote.after));
    columns.prompts.push_back(vote.prompt);
  }
  std::vector<std::uint32_t> distinct = columns.prompts;
  std::ranges::sort(distinct);
  distinct.erase(std::ranges::unique(distinct).begin(), distinct.end());
  for (std::uint32_t& prompt : columns.prompts) {
    prompt =
        static_cast<std::uint32_t>(std::ranges::lower_bound(distinct, prompt) - distinct.begin());
  }
  return columns;
}

// Paired test of the reward model's outcome against the vote.
results::MismatchTest paired_test(const PairColumns& columns) {
  std::vector<double> differences;
  for (std::size_t i = 0; i < columns.people.size(); ++i)
    differences.push_back(columns.before[i] - columns.people[i]);
  const ClusteredRate rate = clustered_rate(differences, columns.prompts);
  if (!(rate.se > 0.0)) return {.p_value = 1.0};  // one prompt, or no difference at all
  return {.p_value = normal_p_value(rate.rate / rate.se)};
}

// MD = (w - e) / m with m = max(e, 1 - e): each vote's influence on it is
// (w_i - w - (e_i - e)) / m - MD (m_i - m) / m.
results::Interval mismatch_interval(const PairColumns& columns, const std::vector<double>& model,
                                    double win_rate, double target) {
  const bool is_favourite = target >= 0.5;
  const double m = is_favourite ? target : 1.0 - target;
  const double mismatch = (win_rate - target) / m;
  std::vector<double> influences;
  for (std::size_t i = 0; i < model.size(); ++i) {
    const double people = columns.people[i] - target;
    influences.push_back((model[i] - win_rate - people) / m -
                         mismatch * (is_favourite ? people : -people) / m);
  }
  const double half = kNormal975 * clustered_rate(influences, columns.prompts).se;
  return {.lo = mismatch - half, .hi = mismatch + half};
}

void set_clustered_intervals(const PairColumns& columns, results::Pair& result) {
  result.target.ci95 = wilson_interval(clustered_rate(columns.people, columns.prompts));
  const auto set = [&](const std::vector<double>& model, results::PairRates& rates) {
    rates.win_rate.ci95 = wilson_interval(clustered_rate(model, columns.prompts));
    rates.mismatch.ci95 =
        mismatch_interval(columns, model, rates.win_rate.value, result.target.value);
  };
  set(columns.before, result.before);
  if (result.after) set(columns.after, *result.after);
  if (!result.agreement) return;
  std::vector<double> agreeing;
  std::vector<std::uint32_t> prompts;
  for (std::size_t i = 0; i < columns.people.size(); ++i) {
    if (columns.people[i] == 0.5) continue;
    agreeing.push_back(columns.people[i] == 1.0 ? columns.before[i] : 1.0 - columns.before[i]);
    prompts.push_back(columns.prompts[i]);
  }
  ClusteredRate rate = clustered_rate(agreeing, prompts);
  rate.rate = result.agreement->value;
  result.agreement->ci95 = wilson_interval(rate);
}

std::int64_t num_prompts_of(const VotedPair& pair) {
  std::set<std::uint32_t> prompts;
  for (const SidedVote& vote : pair.votes) prompts.insert(vote.prompt);
  return static_cast<std::int64_t>(prompts.size());
}

results::Pair ordered_result(const VoteTable& table, const VotedPair& pair, bool is_mirrored,
                             bool has_offsets, TieRule ties) {
  VoteSums sums = pair.sums();
  if (is_mirrored) sums = sums.mirrored();
  results::Pair result;
  result.policy = table.policies[is_mirrored ? pair.reference : pair.policy];
  result.reference = table.policies[is_mirrored ? pair.policy : pair.reference];
  result.num_prompts = num_prompts_of(pair);
  result.num_rows = static_cast<std::int64_t>(pair.votes.size());
  result.target.value = sums.target();
  result.before = pair_rates(sums.before, result.target.value, ties);
  if (has_offsets) {
    result.after = pair_rates(sums.after, result.target.value, ties);
    result.residual = result.after->win_rate.value - result.target.value;
  }
  if (sums.decided > 0.0)
    result.agreement = results::Estimate{.value = sums.agreeing / sums.decided, .ci95 = {}};
  result.num_decided = std::llround(sums.decided);
  return result;
}

// [replicate][pair]
std::vector<std::vector<VoteSums>> resampled_sums(const std::vector<VotedPair>& pairs,
                                                  std::size_t num_prompts,
                                                  const VotePairOptions& options) {
  const bool is_bootstrap = options.intervals == PairIntervals::kBootstrap;
  std::vector<std::vector<VoteSums>> replicates(
      static_cast<std::size_t>(is_bootstrap ? options.bootstrap : 0));
  bootstrap(replicates.size(), options.seed, "vote-pairs", options.num_threads,
            [&](std::size_t index, RandomStream& stream) {
              const auto weights = resample_prompts(num_prompts, stream);
              for (const VotedPair& pair : pairs) replicates[index].push_back(pair.sums(weights));
            });
  return replicates;
}

void set_intervals(results::Pair& result, std::size_t index, bool is_mirrored,
                   const std::vector<std::vector<VoteSums>>& replicates, TieRule ties) {
  std::vector<double> targets, agreements;
  RateReplicates before, after;
  for (const std::vector<VoteSums>& replicate : replicates) {
    const VoteSums sums = is_mirrored ? replicate[index].mirrored() : replicate[index];
    if (sums.before.total == 0.0) continue;
    targets.push_back(sums.target());
    before.add(sums.before, targets.back(), ties);
    after.add(sums.after, targets.back(), ties);
    if (sums.decided > 0.0) agreements.push_back(sums.agreeing / sums.decided);
  }
  if (result.agreement) result.agreement->ci95 = replicate_interval(agreements);
  result.target.ci95 = replicate_interval(targets);
  before.set_intervals(result.before);
  if (result.after) after.set_intervals(*result.after);
}

void adjust_tests(std::vector<results::Pair>& pairs) {
  std::vector<double> p_values;
  for (const results::Pair& pair : pairs) p_values.push_back(pair.test->p_value);
  const std::vector<double> holm = holm_adjusted(p_values);
  const std::vector<double> hochberg = benjamini_hochberg_adjusted(p_values);
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    pairs[i].test->p_value_holm = holm[i];
    pairs[i].test->p_value_bh = hochberg[i];
  }
}

// A count of agreeing cases of a prompt.
struct PromptCount {
  double agreeing = 0.0;
  double total = 0.0;
  void add(double share) {
    agreeing += share;
    total += 1.0;
  }
};

results::Estimate share_of(const std::vector<PromptCount>& counts, const VotePairOptions& options,
                           std::string_view stage) {
  const auto share = [&](auto weight_of) {
    double agreeing = 0.0, total = 0.0;
    for (std::size_t p = 0; p < counts.size(); ++p) {
      agreeing += weight_of(p) * counts[p].agreeing;
      total += weight_of(p) * counts[p].total;
    }
    return agreeing / total;
  };
  results::Estimate estimate{.value = share([](std::size_t) { return 1.0; }), .ci95 = {}};
  std::vector<double> values(static_cast<std::size_t>(options.bootstrap));
  bootstrap(values.size(), options.seed, stage, options.num_threads,
            [&](std::size_t index, RandomStream& stream) {
              const auto weights = resample_prompts(counts.size(), stream);
              values[index] = share([&](std::size_t p) { return static_cast<double>(weights[p]); });
            });
  std::erase_if(values, [](double value) { return !std::isfinite(value); });
  if (std::isfinite(estimate.value)) estimate.ci95 = replicate_interval(values);
  return estimate;
}

std::int64_t total_of(const std::vector<PromptCount>& counts) {
  double total = 0.0;
  for (const PromptCount& count : counts) total += count.total;
  return std::llround(total);
}

}  // namespace

std::vector<results::Pair> vote_pairs(const VoteTable& table, const VoteCorrection& correction,
                                      const VotePairOptions& options) {
  const std::vector<VotedPair> pairs = voted_pairs(table, correction);
  const auto replicates = resampled_sums(pairs, table.num_prompts, options);
  std::map<std::pair<std::uint32_t, std::uint32_t>, results::Pair> cells;
  for (std::size_t p = 0; p < pairs.size(); ++p) {
    for (const bool is_mirrored : {false, true}) {
      auto key = std::pair(pairs[p].policy, pairs[p].reference);
      if (is_mirrored) std::swap(key.first, key.second);
      results::Pair& result = cells[key];
      result = ordered_result(table, pairs[p], is_mirrored, !correction.empty(), options.ties);
      const PairColumns columns = columns_of(pairs[p], is_mirrored, options.ties);
      result.test = paired_test(columns);
      if (options.intervals == PairIntervals::kClustered) {
        set_clustered_intervals(columns, result);
      } else {
        set_intervals(result, p, is_mirrored, replicates, options.ties);
      }
    }
  }
  std::vector<results::Pair> list;
  for (auto& [key, pair] : cells) list.push_back(std::move(pair));
  adjust_tests(list);
  return list;
}

results::VoteAgreement vote_agreement(const VoteTable& table, const VotePairOptions& options) {
  std::vector<PromptCount> accuracy(table.num_prompts), people(table.num_prompts),
      decided(table.num_prompts);
  using Key = std::tuple<std::uint32_t, std::int32_t, std::uint32_t, std::uint32_t, double, double>;
  std::map<Key, std::vector<std::pair<double, std::uint32_t>>> votes_of;  // outcome, judge
  for (const VoteRow& row : table.rows) {
    const bool is_swapped = row.b < row.a;
    if (row.outcome != 0.5) {
      const double model = model_outcome(row.score_a, row.score_b);
      accuracy[row.prompt].add(row.outcome == 1.0 ? model : 1.0 - model);
    }
    const Key key = is_swapped ? Key{row.prompt, row.turn, row.b, row.a, row.score_b, row.score_a}
                               : Key{row.prompt, row.turn, row.a, row.b, row.score_a, row.score_b};
    votes_of[key].emplace_back(is_swapped ? 1.0 - row.outcome : row.outcome, row.judge);
  }
  // A judge that stands for several people repeats itself on the same responses.
  const bool is_crowd = !table.has_judges || table.num_duplicates > 0;
  for (const auto& [key, votes] : votes_of) {
    const std::uint32_t prompt = std::get<0>(key);
    for (std::size_t i = 0; i < votes.size(); ++i) {
      for (std::size_t j = i + 1; j < votes.size(); ++j) {
        if (!is_crowd && votes[i].second == votes[j].second) continue;
        const double is_equal = votes[i].first == votes[j].first ? 1.0 : 0.0;
        people[prompt].add(is_equal);
        if (votes[i].first != 0.5 && votes[j].first != 0.5) decided[prompt].add(is_equal);
      }
    }
  }
  return {.accuracy = share_of(accuracy, options, "vote-accuracy"),
          .num_decided = total_of(accuracy),
          .people = share_of(people, options, "vote-people"),
          .num_people = total_of(people),
          .people_decided = share_of(decided, options, "vote-people-decided"),
          .num_people_decided = total_of(decided),
          .num_votes = static_cast<std::int64_t>(table.rows.size()),
          .num_ties = std::ranges::count(table.rows, 0.5, &VoteRow::outcome),
          .num_judges = static_cast<std::int64_t>(table.num_judges)};
}

}  // namespace charm::stats
