#include "charm/demo/battles.h"

#include <gtest/gtest.h>

#include <cmath>

namespace charm::demo {
namespace {

TEST(Elo, RecoversStrengthsFromExpectedWins) {
  const std::vector<double> truth = {1300.0, 1200.0, 1100.0};
  BattleTable battles{.num_policies = 3, .wins = std::vector<double>(9, 0.0)};
  for (std::size_t a = 0; a < 3; ++a) {
    for (std::size_t b = 0; b < 3; ++b) {
      if (a != b)
        battles.wins[a * 3 + b] = 1000.0 / (1.0 + std::pow(10.0, (truth[b] - truth[a]) / 400.0));
    }
  }
  const std::vector<double> elo = fit_elo(battles, 1200.0);
  for (std::size_t a = 0; a < 3; ++a) EXPECT_NEAR(elo[a], truth[a], 1e-6);
}

TEST(Elo, APolicyWithoutWinsStaysFinite) {
  const BattleTable battles{.num_policies = 2, .wins = {0.0, 100.0, 0.0, 0.0}};
  for (const double elo : fit_elo(battles, 1000.0)) EXPECT_TRUE(std::isfinite(elo));
}

TEST(Ratings, BetterPoliciesRateHigherAndIntervalsHoldTheRating) {
  const std::vector<Contestant> contestants = {{"good", 0.9}, {"middling", 0.6}, {"bad", 0.3}};
  RandomStream random(4, "test");
  const BattleTable battles = simulate_battles(contestants, 500, 8.0, random);
  const std::vector<ArenaRating> ratings = rate(contestants, battles, 1200.0, 100, random);
  EXPECT_GT(ratings[0].rating_elo, ratings[1].rating_elo);
  EXPECT_GT(ratings[1].rating_elo, ratings[2].rating_elo);
  for (const ArenaRating& rating : ratings) {
    EXPECT_LT(*rating.rating_lo, rating.rating_elo);
    EXPECT_GT(*rating.rating_hi, rating.rating_elo);
    EXPECT_LT(*rating.rating_hi - *rating.rating_lo, 100.0);
  }
}

}  // namespace
}  // namespace charm::demo
