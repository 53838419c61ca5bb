#include "charm/stats/descriptive.h"

#include <gtest/gtest.h>

#include <cmath>

namespace charm::stats {
namespace {

using Values = std::vector<double>;

// Expected values are those of scipy.stats 1.13 (pearsonr, spearmanr, kendalltau), and can be
// worked out by hand.
TEST(Correlation, WithoutTies) {
  const Values x = {1, 2, 3, 4, 5};
  const Values y = {2, 1, 4, 3, 5};
  EXPECT_NEAR(*pearson(x, y), 0.8, 1e-15);
  EXPECT_NEAR(*spearman(x, y), 0.8, 1e-15);
  EXPECT_NEAR(*kendall_tau_b(x, y), 0.6, 1e-15);
}

TEST(Correlation, WithTies) {
  const Values x = {1, 2, 2, 3};
  const Values y = {1, 2, 3, 3};
  // Ranks 1 2.5 2.5 4 and 1 2 3.5 3.5: covariance 3.75 over sqrt(4.5 * 4.5).
  EXPECT_NEAR(*spearman(x, y), 3.75 / 4.5, 1e-15);
  // Four concordant pairs, none discordant, one pair tied on each side.
  EXPECT_NEAR(*kendall_tau_b(x, y), 4.0 / 5.0, 1e-15);
}

TEST(Correlation, MonotoneMapsKeepRanks) {
  const Values x = {0.3, -1.0, 2.0, 5.0};
  Values y;
  for (const double value : x) y.push_back(std::exp(value));
  EXPECT_NEAR(*spearman(x, y), 1.0, 1e-15);
  EXPECT_NEAR(*kendall_tau_b(x, y), 1.0, 1e-15);
  EXPECT_LT(*pearson(x, y), 0.99);
}

TEST(Correlation, UndefinedWithoutVariation) {
  EXPECT_FALSE(pearson(Values{1, 1, 1}, Values{1, 2, 3}));
  EXPECT_FALSE(spearman(Values{1, 2, 3}, Values{4, 4, 4}));
  EXPECT_FALSE(kendall_tau_b(Values{1, 1}, Values{1, 2}));
  EXPECT_FALSE(pearson(Values{1}, Values{2}));
}

TEST(Correlation, RanksOfTiesAreTheirMean) {
  EXPECT_EQ(mean_ranks(Values{3, 1, 3, 0}), (Values{3.5, 2, 3.5, 1}));
}

}  // namespace
}  // namespace charm::stats
