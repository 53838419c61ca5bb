#include "charm/demo/battles.h"

#include <gtest/gtest.h>

namespace charm::demo {
namespace {

TEST(ArenaRatings, BetterPoliciesRateHigherAndIntervalsHoldTheRating) {
  const std::vector<Contestant> contestants = {{"middling", 0.6}, {"good", 0.9}, {"bad", 0.3}};
  RandomStream random(4, "test");
  const rate::ComparisonTable battles = simulate_battles(contestants, 500, 8.0, random);
  double num_battles = 0.0;
  for (const rate::Comparison& row : battles.rows) num_battles += row.count;
  EXPECT_EQ(num_battles, 3 * 500.0);
  const std::vector<ArenaRating> ratings = arena_ratings(battles, 1200.0);
  ASSERT_EQ(ratings.size(), 3u);
  EXPECT_EQ(ratings[0].name, "good");
  EXPECT_EQ(ratings[2].name, "bad");
  EXPECT_NEAR(ratings[0].rating_elo + ratings[1].rating_elo + ratings[2].rating_elo, 3600.0, 1e-6);
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
