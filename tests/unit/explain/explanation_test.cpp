#include "charm/explain/explanation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "charm/base/error.h"
#include "charm/explain/regression.h"
#include "tests/support/expect_error.h"
#include "tests/unit/explain/response_world.h"

namespace charm::explain {
namespace {

using testing::HasSubstr;

constexpr std::size_t kPrompts = 600;

ArenaRating make_rating(const std::string& name, double elo) {
  return {.name = name, .rating_elo = elo, .rating_lo = elo - 5.0, .rating_hi = elo + 5.0};
}

FeatureTable make_table(const std::vector<FeatureFile>& files) {
  return FeatureTable(
      files, {.first_policy = "plain", .min_prompts = 30, .strict = false, .policies = {}});
}

const FeatureEffect& effect_of(const std::vector<FeatureEffect>& effects, const std::string& name) {
  for (const FeatureEffect& effect : effects) {
    if (effect.feature == name) return effect;
  }
  throw Error(ErrorKind::kInternal, "no effect of {}", name);
}

bool holds(const results::Estimate& estimated, double truth) {
  return estimated.ci95->lo <= truth && truth <= estimated.ci95->hi;
}

class ExplanationTest : public testing::Test {
 protected:
  ExplanationTest() {
    settings_.bootstrap = 100;
    settings_.num_threads = 1;
  }
  PairExplanation explain(const FeatureTable& table,
                          std::span<const results::CalibratedPolicy> offsets = {}) {
    const std::size_t fancy = table.scores().index_of("fancy");
    const std::size_t plain = table.scores().index_of("plain");
    std::vector<ArenaRating> ratings(2);
    ratings[fancy] = make_rating("fancy", 1200);
    ratings[plain] = make_rating("plain", 1200);
    return explain_pair(table, fancy, plain, ratings, offsets, settings_, warnings_);
  }
  ExplainSettings settings_;
  std::vector<std::string> warnings_;
};

TEST_F(ExplanationTest, FindsPlantedEffects) {
  const FeatureTable table = make_table({make_features({"fancy", 80.0, 2.0, 0.0}, kPrompts),
                                         make_features({"plain", 40.0, 0.0, 0.0}, kPrompts)});
  const std::vector<results::CalibratedPolicy> offsets = {
      {.policy = "fancy", .offset = {.value = -1.5, .ci95 = results::Interval{-1.7, -1.3}}},
      {.policy = "plain", .offset = {.value = 0.0}}};
  const PairExplanation pair = explain(table, offsets);
  EXPECT_EQ(pair.policy, "fancy");
  EXPECT_EQ(pair.num_prompts, static_cast<std::int64_t>(kPrompts));
  const FeatureEffect& length = effect_of(pair.effects, "log_length");
  const FeatureEffect& headers = effect_of(pair.effects, "headers");
  EXPECT_NEAR(length.coefficient.value, kPerLogLength, 0.15);
  EXPECT_TRUE(holds(length.coefficient, kPerLogLength));
  EXPECT_NEAR(headers.coefficient.value, kPerHeader, 0.08);
  EXPECT_TRUE(holds(headers.coefficient, kPerHeader));
  EXPECT_TRUE(holds(pair.unexplained, 0.0)) << "both have the same quality";
  // The parts add up to the gap, whatever the data.
  EXPECT_NEAR(pair.explained.value + pair.unexplained.value, pair.score_gap.value, 1e-9);
  double sum = 0.0;
  for (const FeatureEffect& effect : pair.effects) sum += effect.contribution.value;
  EXPECT_NEAR(sum, pair.explained.value, 1e-9);
  ASSERT_TRUE(headers.share_of_gap);
  EXPECT_NEAR(*headers.share_of_gap, headers.contribution.value / pair.score_gap.value, 1e-12);
  ASSERT_TRUE(headers.share_of_offset);
  EXPECT_NEAR(*headers.share_of_offset, headers.contribution.value / 1.5, 1e-12);
}

TEST_F(ExplanationTest, MatchingTakesLengthAndStyleAway) {
  const FeatureTable table = make_table({make_features({"fancy", 60.0, 1.0, 0.0}, kPrompts),
                                         make_features({"plain", 40.0, 0.0, 0.0}, kPrompts)});
  const PairExplanation pair = explain(table);
  ASSERT_TRUE(pair.mismatch && pair.length_matched && pair.style_matched);
  EXPECT_GT(pair.mismatch->value, 0.25);
  EXPECT_LT(pair.length_matched->mismatch.value, pair.mismatch->value - 0.05);
  EXPECT_TRUE(holds(pair.style_matched->mismatch, 0.0))
      << pair.style_matched->mismatch.ci95->lo << " " << pair.style_matched->mismatch.ci95->hi;
  EXPECT_LT(pair.style_matched->effective_rows, 600.0);
  EXPECT_GT(pair.style_matched->effective_rows, 30.0);
}

TEST_F(ExplanationTest, QualityRemains) {
  const FeatureTable table = make_table({make_features({"fancy", 40.0, 0.0, 1.0}, kPrompts),
                                         make_features({"plain", 40.0, 0.0, 0.0}, kPrompts)});
  const PairExplanation pair = explain(table);
  EXPECT_TRUE(holds(pair.unexplained, 1.0));
  EXPECT_NEAR(pair.style_matched->mismatch.value, pair.mismatch->value, 0.1);
}

TEST_F(ExplanationTest, ConstantAndRareFeaturesAreDroppedAloud) {
  FeatureFile fancy = make_features({"fancy", 80.0, 2.0, 0.0}, kPrompts);
  for (std::size_t r = 0; r < 3; ++r) fancy.rows[r].features[6] = 1.0;  // three refusals
  const FeatureTable table =
      make_table({fancy, make_features({"plain", 40.0, 0.0, 0.0}, kPrompts)});
  const PairExplanation pair = explain(table);
  bool found_refusal = false;
  for (const DroppedFeature& one : pair.dropped) {
    if (one.name != "refusal") continue;
    found_refusal = true;
    EXPECT_THAT(one.reason, HasSubstr("3 prompts"));
  }
  EXPECT_TRUE(found_refusal);
  ASSERT_FALSE(warnings_.empty());
  EXPECT_THAT(warnings_[0], HasSubstr("refusal (differs on 3 prompts, fewer than 10)"));
  EXPECT_THAT(warnings_[0], HasSubstr("code_blocks (differs on 0 prompts"));
}

TEST_F(ExplanationTest, CollinearFeaturesAreDroppedAloud) {
  FeatureFile fancy = make_features({"fancy", 80.0, 2.0, 0.0}, kPrompts);
  FeatureFile plain = make_features({"plain", 40.0, 0.0, 0.0}, kPrompts);
  for (FeatureFile* file : {&fancy, &plain}) {
    for (FeatureRow& row : file->rows) row.features[3] = 2.0 * row.features[1];  // bold
  }
  const PairExplanation pair = explain(make_table({fancy, plain}));
  bool found = false;
  for (const DroppedFeature& one : pair.dropped) found |= one.name == "bold";
  EXPECT_TRUE(found);
  EXPECT_THAT(warnings_[0], HasSubstr("collinear with the previous features"));
  EXPECT_NEAR(effect_of(pair.effects, "headers").coefficient.value, kPerHeader, 0.1);
}

TEST_F(ExplanationTest, AlwaysLongerCannotBeMatched) {
  FeatureFile fancy = make_features({"fancy", 40.0, 0.0, 0.0}, kPrompts);
  for (FeatureRow& row : fancy.rows) row.features[kLogLength] += 10.0;
  const PairExplanation pair =
      explain(make_table({fancy, make_features({"plain", 40.0, 0.0, 0.0}, kPrompts)}));
  EXPECT_TRUE(pair.mismatch);
  EXPECT_FALSE(pair.length_matched);
  bool warned = false;
  for (const std::string& warning : warnings_)
    warned |= warning.find("no MD matched on length") != std::string::npos;
  EXPECT_TRUE(warned);
}

TEST(PooledEffects, SeparatesPolicyFromStyle) {
  // The wordy policy is worse: without its own effect, length would seem to cost score.
  const std::vector<FeatureFile> files = {make_features({"plain", 30.0, 0.0, 3.0}, kPrompts),
                                          make_features({"wordy", 120.0, 2.0, -3.0}, kPrompts),
                                          make_features({"middle", 60.0, 1.0, 0.0}, kPrompts)};
  const PooledEffects pooled = pooled_effects(files, 10);
  EXPECT_TRUE(holds(effect_of(pooled.effects, "log_length").coefficient, kPerLogLength));
  EXPECT_TRUE(holds(effect_of(pooled.effects, "headers").coefficient, kPerHeader));
  Features features{};
  features[1] = 2.0;
  Features none{};
  EXPECT_NEAR(adjustment(pooled, features) - adjustment(pooled, none),
              2.0 * effect_of(pooled.effects, "headers").coefficient.value, 1e-12);
}

TEST(ClusteredRegression, TooFewRowsIsAnError) {
  const std::vector<Column> columns = {{"a", {1.0, 2.0}}};
  const std::vector<std::uint32_t> clusters = {0, 1};
  EXPECT_ERROR(kInput, "2 rows of 2 prompts are too few for 2 coefficients",
               clustered_regression(columns, std::vector<double>{1.0, 2.0}, clusters, 2));
  const std::vector<std::uint32_t> one = {0, 0, 0};
  const std::vector<Column> longer = {{"a", {1.0, 2.0, 5.0}}};
  EXPECT_ERROR(kInput, "3 rows of 1 prompts are too few",
               clustered_regression(longer, std::vector<double>{1.0, 2.0, 3.0}, one, 1));
}

// The slope's nominal 95 % intervals over made-up data whose rows depend on each other in clusters.
TEST(ClusteredRegression, IntervalsHoldTheTruth) {
  constexpr int kSets = 400;
  int covered = 0;
  for (int set = 0; set < kSets; ++set) {
    RandomStream stream(set, "clusters");
    Column column{"x", {}};
    std::vector<double> y;
    std::vector<std::uint32_t> clusters;
    for (std::uint32_t g = 0; g < 60; ++g) {
      const double level = stream.normal();
      const double shared = stream.normal();
      for (int row = 0; row < 4; ++row) {
        column.values.push_back(level + 0.3 * stream.normal());
        y.push_back(0.7 * column.values.back() + shared + 0.5 * stream.normal());
        clusters.push_back(g);
      }
    }
    const Regression fit = clustered_regression(std::vector{column}, y, clusters, 60);
    const auto interval = fit.interval(fit.coefficients[1], fit.errors[1]);
    covered += interval.lo <= 0.7 && 0.7 <= interval.hi ? 1 : 0;
  }
  EXPECT_GE(covered, static_cast<int>(0.91 * kSets));
  EXPECT_LE(covered, static_cast<int>(0.98 * kSets));
}

}  // namespace
}  // namespace charm::explain
