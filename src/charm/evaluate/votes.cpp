#include "charm/evaluate/votes.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "charm/base/error.h"
#include "charm/evaluate/prompt_bootstrap.h"
#include "charm/evaluate/vote_measures.h"

namespace charm::evaluate {
namespace {

// Log odds of a calibration: (score + offset differences) / T + style.
class CalibratedOdds {
 public:
  explicit CalibratedOdds(const results::Calibration& calibration) {
    for (const results::CalibratedPolicy& policy : calibration.policies)
      offsets_[policy.policy] = policy.offset.value;
    if (!calibration.votes) return;
    temperature_ = calibration.votes->temperature.value;
    for (const results::StyleWeight& one : calibration.votes->style_weights) {
      const auto place = std::ranges::find(kStyleNames, one.feature);
      if (place == kStyleNames.end()) {
        throw Error(ErrorKind::kInput, "the calibration has an unknown style feature '{}'",
                    one.feature);
      }
      weights_[static_cast<std::size_t>(place - kStyleNames.begin())] = one.weight.value;
      has_style_ = true;
    }
  }
  double temperature() const { return temperature_; }
  bool knows(const Vote& vote) const {
    return offsets_.contains(vote.model_a) && offsets_.contains(vote.model_b);
  }
  double log_odds(const ScoredVote& vote) const {
    double z = (static_cast<double>(vote.score_a) - static_cast<double>(vote.score_b) +
                offsets_.at(vote.vote.model_a) - offsets_.at(vote.vote.model_b)) /
               temperature_;
    if (!has_style_) return z;
    const auto x =
        style_differences(vote.style_a.value(), vote.style_b.value(), StyleControl::kFastChat);
    for (std::size_t f = 0; f < kNumStyles; ++f) z += weights_[f] * x[f];
    return z;
  }

 private:
  std::map<std::string, double> offsets_;
  double temperature_ = 1.0;
  std::array<double, kNumStyles> weights_{};
  bool has_style_ = false;
};

results::BenchmarkPart prediction_of(const char* name, std::span<const Estimate> estimates) {
  results::BenchmarkPart part{.name = name};
  for (std::size_t m = 0; m < kVoteMeasures; ++m) {
    // Resampling biases the expected calibration error upwards: no interval.
    part.metrics.add(kVoteMeasureNames[m], kVoteMeasureNames[m] == std::string_view("ece")
                                               ? Estimate{.value = estimates[m].value, .ci95 = {}}
                                               : estimates[m]);
  }
  return part;
}

}  // namespace

results::Evaluation votes_result(std::span<const ScoredVote> votes,
                                 const std::optional<results::Calibration>& calibration,
                                 const BootstrapOptions& options) {
  std::optional<CalibratedOdds> odds;
  if (calibration) odds.emplace(*calibration);
  const double temperature = odds ? odds->temperature() : 1.0;
  std::vector<PredictedVote> without, with;
  std::vector<std::string> prompts;
  std::int64_t num_decided = 0, num_without_offset = 0;
  for (const ScoredVote& vote : votes) {
    if (vote.error) continue;
    if (odds && !odds->knows(vote.vote)) {
      ++num_without_offset;
      continue;
    }
    without.push_back(
        {.outcome = vote.vote.outcome,
         .log_odds = (static_cast<double>(vote.score_a) - static_cast<double>(vote.score_b)) /
                     temperature});
    if (odds) with.push_back({.outcome = vote.vote.outcome, .log_odds = odds->log_odds(vote)});
    prompts.push_back(vote.vote.prompt_id);
    num_decided += without.back().is_decided() ? 1 : 0;
  }
  if (num_decided == 0) {
    throw Error(ErrorKind::kInput,
                "no decided votes with scores to evaluate on: {} votes, {} of them on policies "
                "without an offset",
                votes.size(), num_without_offset);
  }
  const WeightedStatistics statistics = [&](std::span<const double> weights) {
    const auto before = vote_measures(without, weights);
    std::vector<double> values(before.begin(), before.end());
    if (!odds) return values;
    const auto after = vote_measures(with, weights);
    values.insert(values.end(), after.begin(), after.end());
    for (std::size_t m = 0; m < kVoteMeasures; ++m) values.push_back(after[m] - before[m]);
    return values;
  };
  const std::vector<std::string> groups(prompts.size(), "votes");
  const std::vector<Estimate> estimates =
      bootstrap_estimates(PromptBootstrap(prompts, groups), statistics, options);
  results::Evaluation evaluation{.benchmark = std::string(benchmark_name(Benchmark::kVotes))};
  evaluation.overall.add("overall", estimates[odds ? kVoteMeasures : 0]);  // accuracy
  evaluation.overall.add_count("num_votes", std::ssize(without));
  evaluation.overall.add_count("num_decided", num_decided);
  evaluation.overall.add_count("num_prompts",
                               std::ssize(std::set<std::string>(prompts.begin(), prompts.end())));
  evaluation.overall.add_count("num_without_offset", num_without_offset);
  evaluation.overall.add("temperature", temperature);
  evaluation.temperature_source = calibration && calibration->votes ? "calibration" : "1";
  const std::span all(estimates);
  evaluation.predictions.push_back(prediction_of("without_offsets", all));
  if (odds) {
    evaluation.predictions.push_back(prediction_of("with_offsets", all.subspan(kVoteMeasures)));
    evaluation.predictions.push_back(prediction_of("difference", all.subspan(2 * kVoteMeasures)));
  }
  evaluation.warnings.emplace();
  if (num_without_offset > 0) {
    evaluation.warnings->push_back(
        fmt::format("{} votes on policies that the calibration has no offset for are dropped",
                    num_without_offset));
  }
  return evaluation;
}

}  // namespace charm::evaluate
