#include "charm/evaluate/votes.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "charm/base/error.h"
#include "charm/base/strings.h"
#include "charm/evaluate/prompt_bootstrap.h"
#include "charm/evaluate/vote_measures.h"

namespace charm::evaluate {
namespace {

VotePrediction prediction_of(std::span<const Estimate> estimates) {
  return {.accuracy = estimates[0],
          .log_loss = estimates[1],
          .brier = estimates[2],
          .ece = {.value = estimates[3].value, .ci95 = {}}};  // resampling biases it upwards
}

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

results::BenchmarkPart part_of_prediction(const char* name, const VotePrediction& prediction) {
  results::BenchmarkPart part{.name = name};
  part.metrics.add(kVoteMeasureNames[0], prediction.accuracy);
  part.metrics.add(kVoteMeasureNames[1], prediction.log_loss);
  part.metrics.add(kVoteMeasureNames[2], prediction.brier);
  part.metrics.add(kVoteMeasureNames[3], prediction.ece);
  return part;
}

}  // namespace

VotesResult votes_result(std::span<const ScoredVote> votes,
                         const std::optional<results::Calibration>& calibration,
                         const BootstrapOptions& options) {
  VotesResult result;
  std::optional<CalibratedOdds> odds;
  if (calibration) odds.emplace(*calibration);
  result.temperature = odds ? odds->temperature() : 1.0;
  result.temperature_source = calibration && calibration->votes ? "calibration" : "1";
  std::vector<PredictedVote> without, with;
  std::vector<std::string> prompts;
  for (const ScoredVote& vote : votes) {
    if (vote.error) continue;
    if (odds && !odds->knows(vote.vote)) {
      ++result.num_without_offset;
      continue;
    }
    without.push_back(
        {.outcome = vote.vote.outcome,
         .log_odds = (static_cast<double>(vote.score_a) - static_cast<double>(vote.score_b)) /
                     result.temperature});
    if (odds) with.push_back({.outcome = vote.vote.outcome, .log_odds = odds->log_odds(vote)});
    prompts.push_back(vote.vote.prompt_id);
    result.num_decided += vote.vote.outcome == 0.5 ? 0 : 1;
  }
  result.num_votes = static_cast<std::int64_t>(without.size());
  if (result.num_decided == 0) {
    throw Error(ErrorKind::kInput,
                "no decided votes with scores to evaluate on: {} votes, {} of them on policies "
                "without an offset",
                votes.size(), result.num_without_offset);
  }
  if (result.num_without_offset > 0) {
    result.warnings.push_back(
        fmt::format("{} votes on policies that the calibration has no offset for are dropped",
                    result.num_without_offset));
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
  std::ranges::sort(prompts);
  result.num_prompts = std::ranges::unique(prompts).begin() - prompts.begin();
  const std::span all(estimates);
  result.without_offsets = prediction_of(all);
  if (!odds) return result;
  result.with_offsets = prediction_of(all.subspan(kVoteMeasures));
  result.difference = prediction_of(all.subspan(2 * kVoteMeasures));
  return result;
}

results::Evaluation evaluation_of(const VotesResult& result) {
  results::Evaluation evaluation{.benchmark = std::string(benchmark_name(Benchmark::kVotes))};
  evaluation.overall.add(
      "overall", (result.with_offsets ? *result.with_offsets : result.without_offsets).accuracy);
  evaluation.overall.add_count("num_votes", result.num_votes);
  evaluation.overall.add_count("num_decided", result.num_decided);
  evaluation.overall.add_count("num_prompts", result.num_prompts);
  evaluation.overall.add_count("num_without_offset", result.num_without_offset);
  evaluation.overall.add("temperature", result.temperature);
  evaluation.temperature_source = result.temperature_source;
  evaluation.predictions.push_back(part_of_prediction("without_offsets", result.without_offsets));
  if (result.with_offsets)
    evaluation.predictions.push_back(part_of_prediction("with_offsets", *result.with_offsets));
  if (result.difference)
    evaluation.predictions.push_back(part_of_prediction("difference", *result.difference));
  evaluation.warnings = result.warnings;
  return evaluation;
}

std::string result_text(const VotesResult& result) {
  std::string text =
      fmt::format("{} votes, {} decided, on {} prompts; temperature {:.4f}\n", result.num_votes,
                  result.num_decided, result.num_prompts, result.temperature);
  std::vector<std::vector<std::string>> rows = {{"", "without offsets"}};
  if (result.with_offsets) {
    rows[0].emplace_back("with offsets");
    rows[0].emplace_back("difference");
  }
  const auto add = [&](const char* name, Estimate VotePrediction::* measure) {
    rows.push_back({name, estimate_text(result.without_offsets.*measure)});
    if (!result.with_offsets) return;
    rows.back().push_back(estimate_text((*result.with_offsets).*measure));
    rows.back().push_back(estimate_text((*result.difference).*measure));
  };
  add(kVoteMeasureNames[0], &VotePrediction::accuracy);
  add(kVoteMeasureNames[1], &VotePrediction::log_loss);
  add(kVoteMeasureNames[2], &VotePrediction::brier);
  add(kVoteMeasureNames[3], &VotePrediction::ece);
  return text + text_table(rows);
}

}  // namespace charm::evaluate
