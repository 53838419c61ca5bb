#include <gtest/gtest.h>

#include <cmath>

#include "charm/rate/ratings.h"
#include "tests/support/expect_error.h"

namespace charm::rate {
namespace {

ComparisonTable two_models() { return {.models = {"a", "b"}, .rows = {}, .features = {}}; }

void add(ComparisonTable& table, std::uint32_t a, std::uint32_t b, double outcome, int count) {
  for (int i = 0; i < count; ++i) table.rows.push_back({.a = a, .b = b, .outcome = outcome});
}

double difference(const Ratings& ratings) {
  const bool is_first = ratings.models[0].model == "a";
  return (is_first ? 1.0 : -1.0) * (ratings.models[0].rating_elo - ratings.models[1].rating_elo);
}

TEST(TieRatings, DavidsonReproducesTheShares) {
  ComparisonTable table = two_models();
  add(table, 0, 1, 1.0, 30);
  add(table, 1, 0, 1.0, 10);
  add(table, 1, 0, 0.5, 20);
  FitOptions options;
  options.ties = stats::TieModel::kDavidson;
  const Ratings ratings = rate_with_ties(table, options);
  EXPECT_NEAR(difference(ratings), 400.0 * std::log10(3.0), 1e-6);
  EXPECT_NEAR(ratings.tie_parameter->value, 20.0 / std::sqrt(300.0), 1e-9);
  EXPECT_LT(ratings.tie_parameter->ci95.lo, ratings.tie_parameter->value);
  EXPECT_NEAR(ratings.models[0].rating_elo + ratings.models[1].rating_elo, 2000.0, 1e-6);
  EXPECT_GT(ratings.models[0].rating_se, 0.0);
  EXPECT_EQ(ratings.models[0].num_battles, 60);
}

TEST(TieRatings, RaoKupperReproducesTheShares) {
  ComparisonTable table = two_models();
  add(table, 0, 1, 1.0, 30);
  add(table, 0, 1, 0.0, 10);
  add(table, 0, 1, 0.5, 20);
  FitOptions options;
  options.ties = stats::TieModel::kRaoKupper;
  const Ratings ratings = rate_with_ties(table, options);
  // logit P(a) = z - eta = 0, logit P(b) = -z - eta = -log 5.
  EXPECT_NEAR(ratings.tie_parameter->value, std::log(5.0) / 2, 1e-9);
  EXPECT_NEAR(difference(ratings), 400.0 / std::log(10.0) * std::log(5.0) / 2, 1e-6);
}

TEST(TieRatings, OrderEffectIsTheAdvantageOfTheFirst) {
  // First a: 40 of 50; first b: 30 of 50. logit(0.8) = r + o, logit(0.6) = -r + o.
  ComparisonTable table = two_models();
  add(table, 0, 1, 1.0, 40);
  add(table, 0, 1, 0.0, 10);
  add(table, 1, 0, 1.0, 30);
  add(table, 1, 0, 0.0, 20);
  FitOptions options;
  options.order_effect = true;
  const Ratings ratings = rate_with_ties(table, options);
  const double one = std::log(4.0), other = std::log(1.5);
  EXPECT_NEAR(ratings.order_effect->value, (one + other) / 2, 1e-9);
  EXPECT_NEAR(difference(ratings), 400.0 / std::log(10.0) * (one - other) / 2, 1e-6);
}

TEST(TieRatings, APriorKeepsSeparatedModelsFinite) {
  ComparisonTable table = two_models();
  add(table, 0, 1, 1.0, 5);
  FitOptions options;
  options.prior_sd_elo = 200.0;
  const double wide = difference(rate_with_ties(table, options));
  EXPECT_GT(wide, 0.0);
  EXPECT_LT(wide, 1000.0);
  options.prior_sd_elo = 50.0;
  EXPECT_LT(difference(rate_with_ties(table, options)), wide);
  options.prior_sd_elo.reset();
  options.order_effect = true;
  EXPECT_ERROR(kInput, "the rating of", rate_with_ties(table, options));
}

TEST(TieRatings, BootstrapAgreesWithTheSandwich) {
  ComparisonTable table = two_models();
  add(table, 0, 1, 1.0, 150);
  add(table, 0, 1, 0.0, 90);
  add(table, 0, 1, 0.5, 60);
  FitOptions options;
  options.ties = stats::TieModel::kDavidson;
  const double sandwich = rate_with_ties(table, options).models[0].rating_se;
  options.bootstrap = 400;
  EXPECT_NEAR(rate_with_ties(table, options).models[0].rating_se, sandwich, 0.1 * sandwich);
}

TEST(TieRatings, RefusesWhatHasNoAnswer) {
  ComparisonTable table = two_models();
  add(table, 0, 1, 1.0, 5);
  add(table, 0, 1, 0.0, 5);
  FitOptions options;
  options.ties = stats::TieModel::kDavidson;
  EXPECT_ERROR(kInput, "the battles have no ties", rate_with_ties(table, options));
  options.style = StyleControl::kArenaRank;
  EXPECT_ERROR(kUsage, "--style arena-rank", rate_with_ties(table, options));
}

}  // namespace
}  // namespace charm::rate
