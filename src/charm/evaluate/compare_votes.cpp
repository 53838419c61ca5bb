#include <fmt/format.h>

#include <map>
#include <optional>
#include <unordered_map>
#include <utility>

#include "charm/base/error.h"
#include "charm/evaluate/compare.h"
#include "charm/evaluate/matching.h"
#include "charm/evaluate/vote_measures.h"

namespace charm::evaluate {
namespace {

/// Prompt, turn, models, judge and winner of each vote, and how often they occurred before: several
/// people may share a judge's name.
std::vector<std::string> vote_keys(std::span<const ScoredVote> votes) {
  std::unordered_map<std::string, int> num_seen;
  std::vector<std::string> keys;
  for (const ScoredVote& scored : votes) {
    const Vote& vote = scored.vote;
    std::string key =
        fmt::format("{}\x1f{}\x1f{}\x1f{}\x1f{}\x1f{}", vote.prompt_id, vote.turn.value_or(0),
                    vote.model_a, vote.model_b, vote.judge, vote.outcome);
    keys.push_back(fmt::format("{}\x1f{}", key, num_seen[key]++));
  }
  return keys;
}

std::string vote_text(const Vote& vote) {
  const char* winner = vote.outcome == 1.0 ? "model_a" : vote.outcome == 0.0 ? "model_b" : "tie";
  return fmt::format("{} against {} on prompt {}, winner {}", vote.model_a, vote.model_b,
                     vote.prompt_id, winner);
}

/// The votes of both runs that have scores in both.
struct CommonVotes {
  std::vector<std::string> prompts;
  std::vector<PredictedVote> a, b;
  std::int64_t num_excluded = 0;
};

CommonVotes common_votes(std::span<const ScoredVote> a, std::span<const ScoredVote> b) {
  const Matching matching = match(vote_keys(a), vote_keys(b));
  if (!matching.is_complete()) {
    const auto name_of = [](std::span<const ScoredVote> votes) {
      return [votes](std::size_t i) { return vote_text(votes[i].vote); };
    };
    throw Error(
        ErrorKind::kInput,
        "the two runs hold different votes: {}; a comparison needs the same votes in both: score "
        "the same files",
        difference_text(matching, name_of(a), name_of(b)));
  }
  const auto predicted = [](const ScoredVote& vote) {
    return PredictedVote{
        .outcome = vote.vote.outcome,
        .log_odds = static_cast<double>(vote.score_a) - static_cast<double>(vote.score_b)};
  };
  CommonVotes common;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const ScoredVote& other = b[matching.row_of_b[i]];
    if (a[i].error || other.error) {
      ++common.num_excluded;
      continue;
    }
    common.prompts.push_back(a[i].vote.prompt_id);
    common.a.push_back(predicted(a[i]));
    common.b.push_back(predicted(other));
  }
  return common;
}

MetricSet vote_metrics(const std::vector<std::string>& prompts,
                       const std::vector<PredictedVote>& votes) {
  MetricSet set;
  set.prompts = prompts;
  set.groups.assign(prompts.size(), "votes");
  set.is_complete = true;
  for (const char* name : kVoteMeasureNames) {
    const bool is_accuracy = name == kVoteMeasureNames.front();
    set.metrics.push_back({.part = Metric::Part::kOverall,
                           .name = "",
                           .measure = is_accuracy ? "score" : name,
                           .is_proportion = is_accuracy});
  }
  set.statistics = [&votes](std::span<const double> weights) {
    const auto values = vote_measures(votes, weights);
    return std::vector<double>(values.begin(), values.end());
  };
  return set;
}

/// Decided votes on which exactly one run is right; those of a prompt are not independent.
FlipCount vote_flips(const CommonVotes& votes) {
  std::map<std::string_view, std::pair<std::vector<bool>, std::vector<bool>>> right_of_prompt;
  for (std::size_t i = 0; i < votes.prompts.size(); ++i) {
    if (!votes.a[i].is_decided()) continue;
    auto& [a, b] = right_of_prompt[votes.prompts[i]];
    a.push_back(votes.a[i].correctness() == 1.0);
    b.push_back(votes.b[i].correctness() == 1.0);
  }
  FlipCount flips;
  for (const auto& [prompt, right] : right_of_prompt) flips.add(right.first, right.second);
  return flips;
}

}  // namespace

results::Comparison compare_votes(std::span<const ScoredVote> a, std::span<const ScoredVote> b,
                                  const BootstrapOptions& options) {
  const CommonVotes votes = common_votes(a, b);
  const FlipCount flips = vote_flips(votes);
  if (flips.num_comparisons() == 0)
    throw Error(ErrorKind::kInput, "no decided votes with scores in both runs to compare");
  results::Comparison comparison{.benchmark = std::string(benchmark_name(Benchmark::kVotes))};
  comparison.num_rows = std::ssize(votes.prompts);
  comparison.num_left_out = votes.num_excluded;
  add_metrics(vote_metrics(votes.prompts, votes.a), vote_metrics(votes.prompts, votes.b), options,
              comparison);
  results::ComparedPart& overall = comparison.overall.front();
  overall.flips = flips.flips("prompt");
  for (std::optional<Estimate>* estimate :
       {&part_named("ece", overall.measures).a, &part_named("ece", overall.measures).b,
        &part_named("ece", overall.measures).difference}) {
    if (*estimate) (*estimate)->ci95.reset();  // resampling biases it upwards
  }
  return comparison;
}

results::Comparison compare_best_of_n(std::vector<Candidate> candidates, std::span<const Score> a,
                                      std::span<const Score> b, const BootstrapOptions& options) {
  const CommonScores common = common_scores(a, b);
  std::unordered_map<std::string, double> score_of_b;
  for (const Score& score : common.b) {
    score_of_b.emplace(response_key(score.policy, score.prompt_id, score.sample),
                       static_cast<double>(score.score));
  }
  std::erase_if(candidates, [&](Candidate& one) {
    const auto place = score_of_b.find(response_key(one.policy, one.prompt_id, one.sample));
    if (place == score_of_b.end()) return true;  // an error in B
    one.score_after = place->second;
    return false;
  });
  results::Comparison comparison{.benchmark = std::string(benchmark_name(Benchmark::kBestOfN))};
  comparison.num_rows = std::ssize(candidates);
  comparison.num_left_out = common.num_excluded;
  for (const PicksOfN& picks : best_of_n_audit(candidates, {}, options)) {
    if (picks.n == 1) continue;  // both runs pick from the same
    results::ComparedPart& section =
        part_named(fmt::format("n = {}", picks.n), comparison.sections);
    for (const auto* measures : {&picks.measures, &picks.policies}) {
      for (const PickMeasure& measure : *measures) {
        const bool is_policy = measures == &picks.policies;
        // The two runs' scores have no common unit.
        if (!is_policy && measure.name == "score") continue;
        section.measures.push_back({.name = is_policy ? "share of " + measure.name : measure.name,
                                    .a = measure.before,
                                    .b = measure.after,
                                    .difference = measure.difference});
      }
    }
  }
  return comparison;
}

}  // namespace charm::evaluate
