#include "charm/train/loss.h"

#include <gtest/gtest.h>

#include <cmath>
#include <utility>

namespace charm::train {
namespace {

double softplus(double x) { return std::log1p(std::exp(x)); }

std::vector<float> scores_of(std::vector<float> values) { return values; }

double pair_loss_sum(const std::vector<float>& scores, const PairRows& pairs, PairLoss kind,
                     double centering) {
  return pair_loss(scores, pairs, kind, centering, /*scale=*/1.0).loss;
}

PairRows rows_of(std::vector<std::int64_t> chosen, std::vector<std::int64_t> rejected,
                 std::vector<float> margins = {}) {
  return {std::move(chosen), std::move(rejected), std::move(margins)};
}

TEST(PairLoss, IsMinusLogSigmoidOfTheDifference) {
  const std::vector<float> scores = scores_of({1.0f, 0.25f, -2.0f, 1.0f});
  const PairRows pairs = rows_of({0, 2}, {1, 3}, {0.5f, 0.0f});
  const auto loss = [&](PairLoss kind, double centering) {
    return pair_loss_sum(scores, pairs, kind, centering);
  };
  EXPECT_NEAR(loss(PairLoss::kBradleyTerry, 0.0), softplus(-0.75) + softplus(3.0), 1e-6);
  EXPECT_NEAR(loss(PairLoss::kMargin, 0.0), softplus(-0.25) + softplus(3.0), 1e-6);
  EXPECT_NEAR(loss(PairLoss::kBradleyTerry, 0.1),
              softplus(-0.75) + softplus(3.0) + 0.1 * (1.25 * 1.25 + 1.0), 1e-6);
}

TEST(PairLoss, SoftLabelsAreTheCrossEntropyWithTheMarginsProbability) {
  const double d = 0.75, p = 1.0 / (1.0 + std::exp(-2.0));
  const double expected = p * softplus(-d) + (1.0 - p) * softplus(d);
  EXPECT_NEAR(pair_loss_sum(scores_of({1.0f, 0.25f}), rows_of({0}, {1}, {2.0f}),
                            PairLoss::kSoftLabels, 0.0),
              expected, 1e-6);
}

std::vector<float> gradient_of(const std::vector<float>& values, const PairRows& pairs,
                               PairLoss kind, double centering = 0.0) {
  return pair_loss(values, pairs, kind, centering, /*scale=*/1.0).gradient_S;
}

TEST(PairLoss, GradientIsSigmoidMinusOne) {
  const std::vector<float> gradient =
      gradient_of({1.0f, 0.25f}, rows_of({0}, {1}), PairLoss::kBradleyTerry);
  const double expected = 1.0 / (1.0 + std::exp(-0.75)) - 1.0;
  EXPECT_NEAR(gradient[0], expected, 1e-6);
  EXPECT_NEAR(gradient[1], -expected, 1e-6);
}

TEST(PairLoss, SoftLabelsHaveNoGradientAtTheMargin) {
  const std::vector<float> right =
      gradient_of({1.0f, 0.25f}, rows_of({0}, {1}, {0.75f}), PairLoss::kSoftLabels);
  EXPECT_NEAR(right[0], 0.0, 1e-7);
  const std::vector<float> apart =
      gradient_of({2.0f, 0.25f}, rows_of({0}, {1}, {0.75f}), PairLoss::kSoftLabels);
  EXPECT_NEAR(apart[0], 1.0 / (1.0 + std::exp(-1.75)) - 1.0 / (1.0 + std::exp(-0.75)), 1e-6);
}

TEST(PairLoss, AResponseOfTwoPairsAccumulatesBothGradients) {
  const std::vector<float> shared =
      gradient_of({1.0f, 0.25f, -0.25f}, rows_of({0, 1}, {1, 2}), PairLoss::kBradleyTerry);
  const auto part = [](double d) { return 1.0 / (1.0 + std::exp(-d)) - 1.0; };
  EXPECT_NEAR(shared[0], part(0.75), 1e-6);
  EXPECT_NEAR(shared[1], part(0.5) - part(0.75), 1e-6);
  EXPECT_NEAR(shared[2], -part(0.5), 1e-6);
}

TEST(PairLoss, LargeDifferencesNeitherOverflowNorVanish) {
  const std::vector<float> scores = scores_of({-500.0f, 500.0f});
  const PairRows pairs = rows_of({0}, {1}, {500.0f});
  EXPECT_NEAR(pair_loss_sum(scores, pairs, PairLoss::kBradleyTerry, 0.0), 1000.0, 1e-3);
  EXPECT_NEAR(pair_loss_sum(scores, pairs, PairLoss::kSoftLabels, 0.0), 1000.0, 1e-3);
  PairCounts counts;
  counts.add(scores, pairs);
  EXPECT_NEAR(counts.sum_loss, 1000.0, 1e-9);
}

TEST(PairLoss, GradientsAreTheDifferencesOfTheLoss) {
  const PairRows pairs = rows_of({0, 1, 2}, {1, 2, 0}, {0.5f, -1.0f, 0.25f});
  const std::vector<float> scores = {1.0f, 0.25f, -0.5f};
  for (const PairLoss kind : {PairLoss::kBradleyTerry, PairLoss::kMargin, PairLoss::kSoftLabels}) {
    const auto at = [&](std::size_t i, float by) {
      std::vector<float> moved = scores;
      moved[i] += by;
      return pair_loss(moved, pairs, kind, 0.1, 0.5).loss;
    };
    const auto gradient = pair_loss(scores, pairs, kind, 0.1, 0.5).gradient_S;
    for (std::size_t i = 0; i < scores.size(); ++i)
      EXPECT_NEAR(gradient[i], (at(i, 0x1p-8f) - at(i, -0x1p-8f)) / 0x1p-7, 1e-5) << i;
  }
}

TEST(PairCounts, ATieIsWrong) {
  PairCounts counts;
  counts.add(scores_of({1.0f, 1.0f, 2.0f, 1.0f}), rows_of({0, 2}, {1, 3}));
  EXPECT_EQ(counts.num_pairs, 2);
  EXPECT_EQ(counts.num_right, 1);
  EXPECT_DOUBLE_EQ(counts.sum_margin, 1.0);
  EXPECT_NEAR(counts.sum_loss, std::log(2.0) + softplus(-1.0), 1e-12);
}

}  // namespace
}  // namespace charm::train
