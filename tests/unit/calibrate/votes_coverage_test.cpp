// Coverage of 95 % intervals on planted votes.

#include <gtest/gtest.h>

#include <cmath>

#include "charm/base/random.h"
#include "charm/calibrate/vote_fit.h"

namespace charm::calibrate {
namespace {

constexpr std::size_t kSets = 500;
constexpr std::size_t kPolicies = 5;
constexpr double kTemperature = 1.5;
constexpr double kOffsets[kPolicies] = {0.0, 0.8, -0.5, 0.3, -1.0};
constexpr double kWeights[kNumStyles] = {0.8, 0.0, -0.4, 0.3};
constexpr double kLogNu = -0.4;

// 240 prompts with 5 comparisons each, some of which are voted on twice by people who agree more
// often than chance: clusters matter.
std::vector<ScoredVote> planted_votes(std::size_t set, bool with_ties) {
  RandomStream random(set, "planted-votes");
  std::vector<ScoredVote> votes;
  for (std::size_t prompt = 0; prompt < 240; ++prompt) {
    for (std::size_t k = 0; k < 5; ++k) {
      const std::size_t a = random.below(kPolicies);
      const std::size_t b = (a + 1 + random.below(kPolicies - 1)) % kPolicies;
      ScoredVote vote;
      vote.vote.prompt_id = "p" + std::to_string(prompt);
      vote.vote.model_a = "m" + std::to_string(a);
      vote.vote.model_b = "m" + std::to_string(b);
      vote.score_a = static_cast<float>(random.normal() * 1.5 + 0.3 * static_cast<double>(a));
      vote.score_b = static_cast<float>(random.normal() * 1.5 + 0.3 * static_cast<double>(b));
      const auto counts = [&] {
        return StyleCounts{.length = std::floor(std::exp(5.0 + 0.6 * random.normal())),
                           .headers = static_cast<double>(random.below(3)),
                           .lists = static_cast<double>(random.below(8)),
                           .bold = static_cast<double>(random.below(5))};
      };
      vote.style_a = counts();
      vote.style_b = counts();
      const auto x = style_differences(*vote.style_a, *vote.style_b, StyleControl::kFastChat);
      double z = (static_cast<double>(vote.score_a) - static_cast<double>(vote.score_b) +
                  kOffsets[a] - kOffsets[b]) /
                 kTemperature;
      for (std::size_t f = 0; f < kNumStyles; ++f) z += kWeights[f] * x[f];
      const double win = std::exp(0.5 * z), loss = std::exp(-0.5 * z);
      const double tie = with_ties ? std::exp(kLogNu) : 0.0;
      const double roll = random.uniform() * (with_ties ? win + loss + tie : 1.0);
      const double edge = with_ties ? win : 1.0 / (1.0 + std::exp(-z));
      vote.vote.outcome = roll < edge ? 1.0 : with_ties && roll < win + tie ? 0.5 : 0.0;
      votes.push_back(vote);
      if (random.below(3) == 0) votes.push_back(vote);
    }
  }
  return votes;
}

// Shares of sets whose interval holds the truth: temperature, offsets, weights pooled.
struct Coverage {
  double temperature = 0.0;
  double offsets = 0.0;
  double weights = 0.0;
};

Coverage measure_coverage(stats::TieModel ties) {
  Coverage coverage;
  const auto holds = [](const Estimate& estimate, double truth) {
    return estimate.ci95->lo <= truth && truth <= estimate.ci95->hi ? 1.0 : 0.0;
  };
  for (std::size_t set = 0; set < kSets; ++set) {
    const stats::VoteTable table(planted_votes(set, ties == stats::TieModel::kDavidson),
                                 {.style = StyleControl::kFastChat, .policies = {}});
    VoteFitOptions options;
    options.ties = ties;
    options.style = StyleControl::kFastChat;
    const VoteSolution solution = fit_votes(table, 0, {}, options);
    coverage.temperature += holds(solution.fit.temperature, kTemperature) / kSets;
    for (std::size_t p = 1; p < kPolicies; ++p)
      coverage.offsets += holds(solution.offsets[p], kOffsets[p]) / (kSets * (kPolicies - 1.0));
    for (std::size_t f = 0; f < kNumStyles; ++f)
      coverage.weights +=
          holds(solution.fit.style_weights[f].weight, kWeights[f]) / (kSets * kNumStyles);
  }
  return coverage;
}

void expect_nominal(const char* what, double coverage) {
  ::testing::Test::RecordProperty(what, std::to_string(coverage));
  EXPECT_GE(coverage, 0.93) << what;
  EXPECT_LE(coverage, 0.97) << what;
}

TEST(VotesCoverage, SandwichIntervalsOfHalfVotes) {
  const Coverage coverage = measure_coverage(stats::TieModel::kHalf);
  expect_nominal("temperature", coverage.temperature);
  expect_nominal("offsets", coverage.offsets);
  expect_nominal("weights", coverage.weights);
}

TEST(VotesCoverage, SandwichIntervalsOfDavidsonsModel) {
  const Coverage coverage = measure_coverage(stats::TieModel::kDavidson);
  expect_nominal("temperature", coverage.temperature);
  expect_nominal("offsets", coverage.offsets);
  expect_nominal("weights", coverage.weights);
}

}  // namespace
}  // namespace charm::calibrate
