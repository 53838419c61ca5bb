#include "charm/stats/bootstrap.h"

#include <gtest/gtest.h>

#include <numeric>

#include "charm/stats/descriptive.h"
#include "charm/stats/interval.h"

namespace charm::stats {
namespace {

std::vector<std::vector<std::uint32_t>> draws(std::uint64_t seed, std::size_t num_threads) {
  std::vector<std::vector<std::uint32_t>> result(50);
  bootstrap(result.size(), seed, "test", num_threads, [&](std::size_t index, RandomStream& stream) {
    result[index] = resample_prompts(20, stream);
  });
  return result;
}

TEST(Bootstrap, SameForAnyNumberOfThreads) {
  EXPECT_EQ(draws(7, 1), draws(7, 4));
  EXPECT_NE(draws(7, 1), draws(8, 1));
}

TEST(Bootstrap, ResamplingKeepsTheNumberOfPrompts) {
  for (const auto& weights : draws(1, 1)) {
    EXPECT_EQ(std::accumulate(weights.begin(), weights.end(), 0u), 20u);
  }
}

TEST(Bootstrap, RatingsAreDrawnWithTheirIntervalsWidth) {
  ArenaRating wide{.name = "wide", .rating_elo = 1200, .rating_lo = 1180.4, .rating_hi = 1219.6};
  ArenaRating exact{.name = "exact", .rating_elo = 1100, .rating_lo = {}, .rating_hi = {}};
  RandomStream stream(1, "ratings");
  std::vector<double> drawn;
  for (int i = 0; i < 20000; ++i) {
    const auto ratings = draw_ratings(std::vector<ArenaRating>{wide, exact}, stream);
    drawn.push_back(ratings[0]);
    ASSERT_EQ(ratings[1], 1100.0);
  }
  EXPECT_NEAR(mean(drawn), 1200.0, 0.3);
  EXPECT_NEAR(standard_deviation(drawn), 10.0, 0.2);
}

}  // namespace
}  // namespace charm::stats
