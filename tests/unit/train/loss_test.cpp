#include "charm/train/loss.h"

#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <cmath>

namespace charm::train {
namespace {

double softplus(double x) { return std::log1p(std::exp(x)); }

at::Tensor scores_of(std::vector<float> values) {
  return at::tensor(values, at::TensorOptions().dtype(at::kFloat));
}

TEST(PairLoss, IsMinusLogSigmoidOfTheDifference) {
  const at::Tensor scores = scores_of({1.0f, 0.25f, -2.0f, 1.0f});
  EXPECT_NEAR(pair_loss_sum(scores, {}, 0.0).item<double>(), softplus(-0.75) + softplus(3.0), 1e-6);
  EXPECT_NEAR(pair_loss_sum(scores, {0.5f, 0.0f}, 0.0).item<double>(),
              softplus(-0.25) + softplus(3.0), 1e-6);
  EXPECT_NEAR(pair_loss_sum(scores, {}, 0.1).item<double>(),
              softplus(-0.75) + softplus(3.0) + 0.1 * (1.25 * 1.25 + 1.0), 1e-6);
}

TEST(PairLoss, GradientIsSigmoidMinusOne) {
  at::Tensor scores = scores_of({1.0f, 0.25f});
  scores.set_requires_grad(true);
  pair_loss_sum(scores, {}, 0.0).backward();
  const double expected = 1.0 / (1.0 + std::exp(-0.75)) - 1.0;
  EXPECT_NEAR(scores.grad()[0].item<double>(), expected, 1e-6);
  EXPECT_NEAR(scores.grad()[1].item<double>(), -expected, 1e-6);
}

TEST(PairLoss, LargeDifferencesNeitherOverflowNorVanish) {
  EXPECT_NEAR(pair_loss_sum(scores_of({-500.0f, 500.0f}), {}, 0.0).item<double>(), 1000.0, 1e-3);
  PairCounts counts;
  counts.add(scores_of({-500.0f, 500.0f}));
  EXPECT_NEAR(counts.sum_loss, 1000.0, 1e-9);
}

TEST(PairCounts, ATieIsWrong) {
  PairCounts counts;
  counts.add(scores_of({1.0f, 1.0f, 2.0f, 1.0f}));
  EXPECT_EQ(counts.num_pairs, 2);
  EXPECT_EQ(counts.num_right, 1);
  EXPECT_DOUBLE_EQ(counts.sum_margin, 1.0);
  EXPECT_NEAR(counts.sum_loss, std::log(2.0) + softplus(-1.0), 1e-12);
}

}  // namespace
}  // namespace charm::train
