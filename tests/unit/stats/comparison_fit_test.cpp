#include "charm/stats/comparison_fit.h"

#include <gtest/gtest.h>

#include <cmath>

#include "charm/stats/comparison_graph.h"

namespace charm::stats {
namespace {

// `wins` of the first of two models, `losses`, `ties`; one parameter, the log odds.
ComparisonDesign two_models(int wins, int losses, int ties) {
  ComparisonDesign design{.num_parameters = 1, .width = 1};
  const auto add = [&](int count, double outcome) {
    for (int i = 0; i < count; ++i) {
      design.columns.push_back(0);
      design.values.push_back(1.0);
      design.outcomes.push_back(outcome);
    }
  };
  add(wins, 1.0);
  add(losses, 0.0);
  add(ties, 0.5);
  return design;
}

TEST(ComparisonFit, HalfVotesAreTheLogOdds) {
  const ComparisonFit fit = fit_comparisons(two_models(30, 10, 20), {}, {});
  EXPECT_TRUE(fit.is_converged);
  EXPECT_NEAR(fit.parameters[0], std::log(40.0 / 20.0), 1e-12);
  EXPECT_NEAR(model_covariance(fit)[0], 1.0 / (60.0 * (2.0 / 3.0) * (1.0 / 3.0)), 1e-12);
}

TEST(ComparisonFit, DavidsonReproducesTheShares) {
  // Saturated: P(a) : P(tie) : P(b) = 30 : 20 : 10, nu = P(tie) / sqrt(P(a) P(b)).
  const ComparisonFit fit =
      fit_comparisons(two_models(30, 10, 20), {}, {.ties = TieModel::kDavidson});
  EXPECT_TRUE(fit.is_converged);
  EXPECT_NEAR(fit.parameters[0], std::log(3.0), 1e-10);
  EXPECT_NEAR(std::exp(fit.parameters[1]), 20.0 / std::sqrt(300.0), 1e-10);
}

TEST(ComparisonFit, RaoKupperReproducesTheShares) {
  // Saturated: sigmoid(z - eta) = 1/2, sigmoid(-z - eta) = 1/6.
  const ComparisonFit fit =
      fit_comparisons(two_models(30, 10, 20), {}, {.ties = TieModel::kRaoKupper});
  EXPECT_TRUE(fit.is_converged);
  const double z = fit.parameters[0], eta = fit.parameters[1];
  EXPECT_NEAR(1.0 / (1.0 + std::exp(eta - z)), 0.5, 1e-10);
  EXPECT_NEAR(1.0 / (1.0 + std::exp(eta + z)), 1.0 / 6.0, 1e-10);
}

TEST(ComparisonFit, DerivativesAreThoseOfTheLoss) {
  // A penalty that records the derivatives at the start, compared with differences of the loss.
  for (const TieModel ties : {TieModel::kHalf, TieModel::kDavidson, TieModel::kRaoKupper}) {
    ComparisonDesign design{.num_parameters = 2, .width = 2};
    for (int i = 0; i < 12; ++i) {
      design.columns.insert(design.columns.end(), {0, 1});
      design.values.insert(design.values.end(), {0.3 * i - 1.0, 0.1 * (i % 5)});
      design.outcomes.push_back(0.5 * (i % 3));
    }
    const auto at = [&](std::vector<double> start) {
      std::optional<LossValue> first;
      fit_comparisons(design, {},
                      {.ties = ties,
                       .penalty =
                           [&](std::span<const double>, LossValue& value) {
                             if (!first) first = value;
                           },
                       .start = std::move(start)});
      return *first;
    };
    std::vector<double> point = {0.4, -0.7};
    if (ties != TieModel::kHalf) point.push_back(0.6);
    const LossValue value = at(point);
    for (std::size_t i = 0; i < point.size(); ++i) {
      constexpr double kStep = 1e-6;
      std::vector<double> up = point, down = point;
      up[i] += kStep;
      down[i] -= kStep;
      const LossValue high = at(up), low = at(down);
      EXPECT_NEAR(value.gradient[i], (high.loss - low.loss) / (2 * kStep), 1e-7);
      for (std::size_t j = 0; j < point.size(); ++j) {
        EXPECT_NEAR(value.hessian[i * point.size() + j],
                    (high.gradient[j] - low.gradient[j]) / (2 * kStep), 1e-7)
            << tie_model_name(ties) << ' ' << i << ' ' << j;
      }
    }
  }
}

TEST(ComparisonFit, WeightsAreRepeatedRows) {
  const ComparisonDesign design = two_models(3, 2, 1);
  const std::vector<double> weights = {2, 0, 1, 1, 1, 3};
  const ComparisonFit weighted = fit_comparisons(design, weights, {});
  const ComparisonFit repeated = fit_comparisons(two_models(3, 2, 3), {}, {});
  EXPECT_NEAR(weighted.parameters[0], repeated.parameters[0], 1e-12);
}

TEST(ComparisonFit, AllWinsHaveNoOptimum) {
  const ComparisonFit fit = fit_comparisons(two_models(5, 0, 0), {}, {});
  EXPECT_LT(-fit.log_likelihood, 1e-6);
  EXPECT_GT(fit.parameters[0], 10.0);
}

TEST(ComparisonFit, ClustersOfEqualRowsCountOnce) {
  // Every row twice in one cluster: the covariance of the single rows, but for the correction.
  ComparisonDesign once = two_models(12, 8, 0), twice = two_models(24, 16, 0);
  std::vector<std::uint32_t> one(20), two(40);
  for (std::uint32_t i = 0; i < 20; ++i) one[i] = i;
  for (std::uint32_t i = 0; i < 40; ++i) two[i] = i / 2;  // 24 wins are 12 clusters
  const auto covariance = [](const ComparisonDesign& design, std::span<const std::uint32_t> of) {
    const ComparisonFit fit = fit_comparisons(design, {}, {});
    return clustered_covariance(design, TieModel::kHalf, fit, of, 20)[0];
  };
  EXPECT_NEAR(covariance(once, one), covariance(twice, two), 1e-12);
}

}  // namespace
}  // namespace charm::stats
