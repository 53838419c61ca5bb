#include "charm/evaluate/prompt_bootstrap.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

namespace charm::evaluate {
namespace {

TEST(PromptBootstrap, RowsOfAPromptMoveTogetherAndNoGroupIsEmpty) {
  const std::vector<std::string> prompts = {"p", "q", "p", "r", "s", "t"};
  const std::vector<std::string> groups = {"x", "x", "x", "y", "y", "z"};
  const PromptBootstrap rows(prompts, groups);
  for (std::uint64_t i = 0; i < 200; ++i) {
    RandomStream random(7, "test", i);
    const std::vector<double> weights = rows.resample(random);
    EXPECT_EQ(weights[0], weights[2]);
    EXPECT_EQ(weights[0] + weights[1], 2.0);
    EXPECT_EQ(weights[3] + weights[4], 2.0);
    EXPECT_EQ(weights[5], 1.0);
  }
}

TEST(PromptBootstrap, FewSharedPromptsAreDrawnAmongEachOther) {
  // p is in x and y, q in x and z: a set of groups each, so alone they would never vary.
  const std::vector<std::string> prompts = {"p", "p", "q", "q"}, groups = {"x", "y", "x", "z"};
  const PromptBootstrap rows(prompts, groups);
  bool varies = false;
  for (std::uint64_t i = 0; i < 20; ++i) {
    RandomStream random(7, "test", i);
    varies |= rows.resample(random)[0] != 1.0;
  }
  EXPECT_TRUE(varies);
}

TEST(BootstrapEstimates, IntervalOfAMeanIsNearTheTextbookOne) {
  std::vector<std::string> prompts;
  for (int i = 0; i < 400; ++i) prompts.push_back(std::to_string(i));
  const std::vector<std::string> groups(prompts.size(), "all");
  const auto mean = [](std::span<const double> weights) {
    double sum = 0.0;
    for (std::size_t i = 0; i < weights.size(); i += 4)
      sum += weights[i];  // every fourth row is right
    return std::vector<double>{sum / std::accumulate(weights.begin(), weights.end(), 0.0)};
  };
  const std::vector<Estimate> estimates = bootstrap_estimates(
      PromptBootstrap(prompts, groups), mean, {.num_replicates = 4000, .seed = 3});
  const double half_width = 1.96 * std::sqrt(0.25 * 0.75 / 400);
  EXPECT_DOUBLE_EQ(estimates[0].value, 0.25);
  EXPECT_NEAR(estimates[0].ci95->lo, 0.25 - half_width, 0.004);
  EXPECT_NEAR(estimates[0].ci95->hi, 0.25 + half_width, 0.004);
}

TEST(BootstrapEstimates, UndefinedReplicatesAreDropped) {
  const std::vector<std::string> prompts = {"p", "q"}, groups = {"x", "x"};
  const auto ratio = [](std::span<const double> weights) {
    return std::vector<double>{weights[1] / weights[0] * 0.0 + 1.0};
  };
  const std::vector<Estimate> estimates = bootstrap_estimates(
      PromptBootstrap(prompts, groups), ratio, {.num_replicates = 50, .seed = 3});
  EXPECT_EQ(estimates[0].ci95->lo, 1.0);
  EXPECT_EQ(estimates[0].ci95->hi, 1.0);
}

}  // namespace
}  // namespace charm::evaluate
