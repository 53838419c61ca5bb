#include "charm/rate/bradley_terry.h"

#include <gtest/gtest.h>

#include <cmath>

#include "charm/base/random.h"
#include "charm/rate/ratings.h"

namespace charm::rate {
namespace {

// a beats b `wins` times of `total`, the rest b wins.
void add_battles(ComparisonTable& table, std::uint32_t a, std::uint32_t b, double wins,
                 double total) {
  table.rows.push_back({.a = a, .b = b, .outcome = 1.0, .count = wins});
  table.rows.push_back({.a = a, .b = b, .outcome = 0.0, .count = total - wins});
}

TEST(BradleyTerry, OfTwoModelsIsTheLogOdds) {
  ComparisonTable table{.models = {"a", "b"}, .rows = {}, .features = {}};
  add_battles(table, 0, 1, 75, 100);
  const auto fit = fit_bradley_terry(table, {}, {});
  EXPECT_NEAR(fit.ratings[0] - fit.ratings[1], std::log(3.0), 1e-12);
  EXPECT_NEAR(fit.ratings[0] + fit.ratings[1], 0.0, 1e-12);

  // The information of 100 votes on the difference is 100 p (1 - p); each rating moves by half.
  const auto errors = sandwich_errors(table, {}, fit, {.hessian_ridge = 1e-6});
  EXPECT_NEAR(errors[0], 0.5 / std::sqrt(100 * 0.75 * 0.25), 1e-7);
}

TEST(BradleyTerry, TiesCountHalf) {
  ComparisonTable ties{.models = {"a", "b"}, .rows = {}, .features = {}};
  add_battles(ties, 0, 1, 30, 40);
  ties.rows.push_back({.a = 1, .b = 0, .outcome = 0.5, .count = 20});
  ComparisonTable halves{.models = {"a", "b"}, .rows = {}, .features = {}};
  add_battles(halves, 0, 1, 40, 60);
  EXPECT_NEAR(fit_bradley_terry(ties, {}, {}).ratings[0],
              fit_bradley_terry(halves, {}, {}).ratings[0], 1e-12);
}

TEST(BradleyTerry, FarModelsSettle) {
  // A chain whose ends are some 4,000 Elo points apart.
  ComparisonTable table{.models = {"a", "b", "c", "d"}, .rows = {}, .features = {}};
  for (std::uint32_t m = 0; m < 3; ++m) add_battles(table, m, m + 1, 2000, 2001);
  const auto fit = fit_bradley_terry(table, {}, {});
  for (std::size_t m = 0; m < 3; ++m) {
    EXPECT_NEAR(fit.ratings[m] - fit.ratings[m + 1], std::log(2000.0), 1e-8);
  }
}

TEST(BradleyTerry, WeightsEqualCounts) {
  ComparisonTable counted{.models = {"a", "b", "c"}, .rows = {}, .features = {}};
  add_battles(counted, 0, 1, 6, 10);
  add_battles(counted, 1, 2, 8, 10);
  add_battles(counted, 0, 2, 9, 10);
  ComparisonTable weighted = counted;
  std::vector<double> weights;
  for (Comparison& row : weighted.rows) {
    weights.push_back(row.count);
    row.count = 1.0;
  }
  const auto one = fit_bradley_terry(counted, {}, {});
  const auto other = fit_bradley_terry(weighted, weights, {});
  for (std::size_t m = 0; m < 3; ++m) EXPECT_NEAR(one.ratings[m], other.ratings[m], 1e-12);
}

TEST(WinGroups, FindWhoIsInfinite) {
  ComparisonTable table{.models = {"a", "b", "c", "d"}, .rows = {}, .features = {}};
  add_battles(table, 0, 1, 5, 10);
  add_battles(table, 0, 2, 10, 10);
  table.rows.back().count = 0.0;
  EXPECT_EQ(stats::win_components(4, comparison_edges(table)).size(), 3u);
  const auto connected = stats::connected_components(4, comparison_edges(table));
  EXPECT_EQ(connected.size(), 2u);
  EXPECT_EQ(connected[0], (std::vector<std::size_t>{0, 1, 2}));
  add_battles(table, 2, 3, 1, 2);
  table.rows.push_back({.a = 3, .b = 1, .outcome = 0.5, .count = 1});
  EXPECT_EQ(stats::win_components(4, comparison_edges(table)).size(), 1u);
}

TEST(RateModels, SandwichAndBootstrapAgreeAndCover) {
  RandomStream stream(3, "votes");
  ComparisonTable table{.models = {"a", "b", "c"}, .rows = {}, .features = {}};
  const double log_odds[] = {0.5, 0.0, -0.5};
  for (std::uint32_t a = 0; a < 3; ++a) {
    for (std::uint32_t b = a + 1; b < 3; ++b) {
      const double p = 1.0 / (1.0 + std::exp(log_odds[b] - log_odds[a]));
      double wins = 0.0;
      for (int i = 0; i < 400; ++i) wins += stream.uniform() < p ? 1.0 : 0.0;
      add_battles(table, a, b, wins, 400);
    }
  }
  const Ratings linear = rate_models(table, {});
  const Ratings resampled = rate_models(table, {.anchor = {}, .bootstrap = 500, .seed = 1});
  for (std::size_t m = 0; m < 3; ++m) {
    EXPECT_EQ(linear.models[m].model, table.models[m]);
    EXPECT_EQ(linear.models[m].num_battles, 800);
    EXPECT_NEAR(linear.models[m].rating_se, resampled.models[m].rating_se,
                0.12 * linear.models[m].rating_se);
    const double truth = 1000.0 + 400.0 / std::log(10.0) * log_odds[m];
    EXPECT_NEAR(linear.models[m].rating_elo, truth, 3.5 * linear.models[m].rating_se);
  }
  const Ratings again =
      rate_models(table, {.anchor = {}, .bootstrap = 500, .seed = 1, .num_threads = 3});
  EXPECT_EQ(again.models[0].rating_ci95.lo, resampled.models[0].rating_ci95.lo);
}

}  // namespace
}  // namespace charm::rate
