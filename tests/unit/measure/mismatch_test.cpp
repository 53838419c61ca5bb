#include "charm/measure/mismatch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/base/random.h"
#include "charm/measure/measure_stage.h"
#include "tests/support/expect_error.h"
#include "tests/unit/base/temp_folder.h"

namespace charm::measure {
namespace {

using results::Mismatch;
using ::testing::HasSubstr;
using Json = nlohmann::ordered_json;

// Scores prompt by prompt.
ScoreFile file_of(const std::string& policy, const std::vector<float>& scores) {
  ScoreFile file{.name = policy, .rows = {}};
  for (std::size_t p = 0; p < scores.size(); ++p) {
    file.rows.push_back({.prompt_id = "p" + std::to_string(p),
                         .policy = policy,
                         .sample = 0,
                         .score = scores[p],
                         .error = {}});
  }
  return file;
}

ArenaRating rating(const std::string& name, double elo) {
  return {.name = name, .rating_elo = elo, .rating_lo = elo - 5, .rating_hi = elo + 5};
}

stats::PairedScores table_of(const std::vector<ScoreFile>& files) {
  return stats::PairedScores(
      files, {.first_policy = "", .min_prompts = 1, .strict = false, .policies = {}});
}

TEST(Mismatch, TiesOfAllRowsAreAWarning) {
  const std::vector<float> one = {3, 3, 1, 1}, other = {1, 2, 1, 2};
  const auto warnings = [](const std::vector<ScoreFile>& files) {
    std::vector<ArenaRating> ratings;
    for (const ScoreFile& file : files) ratings.push_back(rating(file.name, 1200));
    return measure_mismatch(table_of(files), ratings, {.bootstrap = 0}).warnings;
  };
  EXPECT_THAT(warnings({file_of("a", one), file_of("b", other)}), ::testing::IsEmpty());
  EXPECT_THAT(warnings({file_of("a", one), file_of("b", one)}),
              ::testing::ElementsAre(AllOf(HasSubstr("all pairs tie on all 8 rows"),
                                           HasSubstr("charm inspect --sample"))));
  EXPECT_THAT(warnings({file_of("a", one), file_of("b", other), file_of("c", one)}),
              ::testing::ElementsAre(HasSubstr("'a' and 'c' tie on all rows")));
}

TEST(Mismatch, AllOrderedPairsByHand) {
  const auto table = table_of(
      {file_of("a", {3, 3, 1, 1}), file_of("b", {1, 2, 1, 2}), file_of("c", {0, 0, 0, 0})});
  const std::vector<ArenaRating> ratings = {rating("a", 1200), rating("b", 1200),
                                            rating("c", 1200)};
  const Mismatch result =
      measure_mismatch(table, ratings, {.ties = results::TieRule::kLoss, .bootstrap = 0});
  ASSERT_EQ(result.pairs.size(), 6u);
  EXPECT_EQ(result.pairs[0].policy, "a");
  EXPECT_EQ(result.pairs[0].reference, "b");
  EXPECT_DOUBLE_EQ(result.pairs[0].before.win_rate.value, 0.5);
  EXPECT_EQ(result.pairs[0].before.ties, 1);
  EXPECT_DOUBLE_EQ(result.pairs[0].before.mismatch.value, 0.0);
  EXPECT_DOUBLE_EQ(result.pairs[1].before.mismatch.value, 1.0);
  // With ties lost, MD(b, a) is not -MD(a, b).
  EXPECT_EQ(result.pairs[2].policy, "b");
  EXPECT_DOUBLE_EQ(result.pairs[2].before.win_rate.value, 0.25);
  EXPECT_DOUBLE_EQ(result.pairs[2].before.mismatch.value, -0.5);
  EXPECT_FALSE(result.pairs[0].before.mismatch.ci95);
  const Mismatch half =
      measure_mismatch(table, ratings, {.ties = results::TieRule::kHalf, .bootstrap = 0});
  EXPECT_DOUBLE_EQ(half.pairs[0].before.win_rate.value, 0.625);
  EXPECT_DOUBLE_EQ(half.pairs[2].before.win_rate.value, 0.375);
}

TEST(PolicyMean, IsTheMeanOverAllOthersWithItsSign) {
  const auto table = table_of(
      {file_of("a", {3, 3, 1, 1}), file_of("b", {1, 2, 1, 2}), file_of("c", {0, 0, 0, 0})});
  const std::vector<ArenaRating> ratings = {rating("a", 1200), rating("b", 1200),
                                            rating("c", 1200)};
  const Mismatch result =
      measure_mismatch(table, ratings, {.ties = results::TieRule::kLoss, .bootstrap = 0});
  ASSERT_EQ(result.policies.size(), 3u);
  EXPECT_DOUBLE_EQ(result.policies[0].mean_mismatch->value, 0.5);  // 0 over b, 1 over c
  EXPECT_DOUBLE_EQ(result.policies[1].mean_mismatch->value, 0.25);
  EXPECT_DOUBLE_EQ(result.policies[2].mean_mismatch->value, -1.0);
  EXPECT_FALSE(result.policies[0].mean_mismatch->ci95);
  EXPECT_EQ(result.policies[0].num_prompts, 4);
}

TEST(PolicyMean, OfTwoPoliciesIsTestedAsTheirPair) {
  std::vector<float> a, b;
  for (int i = 0; i < 200; ++i) {
    a.push_back(static_cast<float>(i * 7 % 31));
    b.push_back(static_cast<float>(i * 11 % 29));
  }
  const auto table = table_of({file_of("a", a), file_of("b", b)});
  const std::vector<ArenaRating> ratings = {rating("a", 1200), rating("b", 1260)};
  const Mismatch result = measure_mismatch(table, ratings, {.bootstrap = 50});
  for (std::size_t p = 0; p < 2; ++p) {
    const results::MeasuredPolicy& policy = result.policies[p];
    EXPECT_DOUBLE_EQ(policy.mean_mismatch->value, result.pairs[p].before.mismatch.value);
    EXPECT_DOUBLE_EQ(policy.mean_mismatch->ci95->lo, result.pairs[p].before.mismatch.ci95->lo);
    EXPECT_NEAR(policy.test->p_value, result.pairs[p].test->p_value, 1e-12);
  }
}

TEST(PolicyMean, WithoutVarianceHasADefiniteAnswer) {
  // a wins everything: H0's standard error of each pair is sqrt(0.25 / 60) / 0.5.
  const auto table = table_of(
      {file_of("a", std::vector<float>(60, 1.0F)), file_of("b", std::vector<float>(60, 0.0F))});
  std::vector<ArenaRating> ratings = {rating("a", 1000), rating("b", 1000)};
  for (ArenaRating& one : ratings) one.rating_lo = one.rating_hi = std::nullopt;
  const Mismatch result = measure_mismatch(table, ratings, {.bootstrap = 0});
  EXPECT_NEAR(result.policies[0].test->p_value, std::erfc(std::sqrt(60.0) / std::sqrt(2.0)), 1e-20);
}

TEST(Mismatch, IntervalsDoNotDependOnThreads) {
  std::vector<float> a;
  std::vector<float> b;
  for (int i = 0; i < 200; ++i) {
    a.push_back(static_cast<float>(i * 7 % 31));
    b.push_back(static_cast<float>(i * 11 % 29));
  }
  const auto table = table_of({file_of("a", a), file_of("b", b)});
  const std::vector<ArenaRating> ratings = {rating("a", 1200), rating("b", 1250)};
  MismatchOptions options{
      .ties = results::TieRule::kLoss, .bootstrap = 200, .seed = 3, .num_threads = 1};
  const Mismatch one = measure_mismatch(table, ratings, options);
  options.num_threads = 4;
  const Mismatch four = measure_mismatch(table, ratings, options);
  EXPECT_EQ(to_json(one, Json::array()).dump(), to_json(four, Json::array()).dump());
  EXPECT_LT(one.pairs[0].before.mismatch.ci95->lo, one.pairs[0].before.mismatch.value);
  EXPECT_GT(one.pairs[0].before.mismatch.ci95->hi, one.pairs[0].before.mismatch.value);
  // A binomial share of 200 prompts: about 0.035 on each standard deviation.
  EXPECT_NEAR(one.pairs[0].before.win_rate.ci95->hi - one.pairs[0].before.win_rate.ci95->lo,
              4 * 0.035, 0.03);
}

TEST(Mismatch, OnePolicyIsAnError) {
  const auto table = table_of({file_of("a", {1, 2})});
  EXPECT_ERROR(kInput, "a mismatch degree needs two",
               measure_mismatch(table, std::vector<ArenaRating>{rating("a", 1200)}, {}));
}

class MeasureStageTest : public ::testing::Test {
 protected:
  void SetUp() override {
    options_.scores = {write("a", 3), write("b", 5)};
    options_.ratings = folder_ / "ratings.json";
    write_file(options_.ratings, R"({"a": 1200, "other": 1250})");
    options_.aliases = {{"b", "other"}};
    options_.output = folder_ / "mismatch.json";
    options_.bootstrap = 20;
  }

  fs::path write(const std::string& policy, int factor) {
    std::string text;
    for (int p = 0; p < 40; ++p) {
      text += Json{{"prompt_id", fmt::format("p{}", p)},
                   {"response", "r"},
                   {"policy", policy},
                   {"score", p * factor % 17}}
                  .dump() +
              "\n";
    }
    write_file(folder_ / (policy + ".jsonl"), text);
    return folder_ / (policy + ".jsonl");
  }

  const testing::TempFolder folder_;
  MeasureOptions options_;
};

TEST_F(MeasureStageTest, WritesThePairs) {
  measure(options_);
  const Json json = Json::parse(read_file(options_.output));
  ASSERT_EQ(json.at("pairs").size(), 2u);
  EXPECT_EQ(json.at("inputs").size(), 3u);
  for (const char* key :
       {"num_prompts", "target_win_rate", "win_rate_before", "mismatch_before", "ties_before"}) {
    EXPECT_TRUE(json["pairs"][0].at(key).is_number()) << key;
  }
  EXPECT_EQ(json["pairs"][0].at("mismatch_before_ci95").size(), 2u);
  EXPECT_FALSE(json["pairs"][0].contains("mismatch_after"));
  EXPECT_EQ(json.at("policies")[1].at("rating"), 1250.0);
  EXPECT_TRUE(fs::exists(options_.output.string() + ".manifest.json"));
}

TEST_F(MeasureStageTest, PolicyWithoutRatingNamesTheNearest) {
  options_.aliases.clear();
  try {
    measure(options_);
    FAIL() << "a policy without rating was accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), 3);
    EXPECT_THAT(error.message(), HasSubstr("no rating for policy 'b'"));
    EXPECT_THAT(error.message(), HasSubstr("ratings.json"));
  }
  EXPECT_FALSE(fs::exists(options_.output));
}

TEST(MismatchPValue, IsTheScoreTest) {
  // 60 of 100 prompts won at a target of 0.5: z = 0.1 / sqrt(0.25 / 99), with the clustered error's
  // n - 1.
  std::vector<double> values(100, 0.0);
  std::vector<std::uint32_t> prompts(100);
  for (std::uint32_t i = 0; i < 100; ++i) {
    values[i] = i < 60 ? 1.0 : 0.0;
    prompts[i] = i;
  }
  const stats::ClusteredRate rate = stats::clustered_rate(values, prompts);
  const auto p_of = [](double z) { return std::erfc(z / std::sqrt(2.0)); };
  EXPECT_NEAR(mismatch_p_value(rate, 0.5, 0.0), p_of(0.1 / std::sqrt(0.25 / 99)), 1e-12);
  EXPECT_NEAR(mismatch_p_value(rate, 0.5, 0.03), p_of(0.1 / std::sqrt(0.25 / 99 + 0.0009)), 1e-12);
  EXPECT_EQ(mismatch_p_value(rate, rate.rate, 0.0), 1.0);
  // All prompts won: a definite answer although the standard error is 0.
  const stats::ClusteredRate all = {.rate = 1.0, .se = 0.0, .num_prompts = 40};
  EXPECT_NEAR(mismatch_p_value(all, 0.8, 0.0), p_of(0.2 / std::sqrt(0.16 / 40)), 1e-12);
}

// Policies whose true win rates are their targets: Gumbel noise makes win rates logistic in the
// levels.
Mismatch fair_world(std::uint64_t seed, std::size_t num_policies, std::size_t num_prompts) {
  std::vector<ScoreFile> files;
  std::vector<ArenaRating> ratings;
  for (std::size_t p = 0; p < num_policies; ++p) {
    const double level = 0.4 * static_cast<double>(p);
    std::vector<float> scores;
    for (std::size_t n = 0; n < num_prompts; ++n) {
      const double ease = 5.0 * RandomStream(seed, "prompt", n).normal();
      RandomStream noise(seed, "noise", p * num_prompts + n);
      scores.push_back(static_cast<float>(ease + level - std::log(-std::log(noise.uniform()))));
    }
    const std::string name(1, static_cast<char>('a' + p));
    files.push_back(file_of(name, scores));
    ratings.push_back({.name = name, .rating_elo = 1000.0 + level * 400.0 / std::log(10.0)});
  }
  return measure_mismatch(table_of(files), ratings, {.bootstrap = 0});
}

TEST(Multiplicity, FairPoliciesAreSeldomFlagged) {
  int worlds_with_flag = 0, raw = 0, worlds_with_policy = 0, raw_policies = 0;
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    const Mismatch mismatch = fair_world(seed, 4, 150);
    bool any = false;
    for (const results::Pair& pair : mismatch.pairs) {
      any |= pair.test->is_significant();
      raw += pair.test->p_value < 0.05;
      EXPECT_LE(pair.test->p_value, pair.test->p_value_bh);
      EXPECT_LE(pair.test->p_value_bh, pair.test->p_value_holm);
    }
    worlds_with_flag += any;
    any = false;
    for (const results::MeasuredPolicy& policy : mismatch.policies) {
      any |= policy.test->is_significant();
      raw_policies += policy.test->p_value < 0.05;
    }
    worlds_with_policy += any;
  }
  EXPECT_LT(worlds_with_flag, 300 * 0.06);        // any false flag: at most 5 %
  EXPECT_NEAR(raw / (300.0 * 12.0), 0.05, 0.02);  // unadjusted, each test errs in 5 %
  EXPECT_LT(worlds_with_policy, 300 * 0.06);
  EXPECT_NEAR(raw_policies / (300.0 * 4.0), 0.05, 0.02);
}

TEST(Multiplicity, AnOverValuedPolicyIsFlagged) {
  const auto table = table_of({file_of("a", std::vector<float>(60, 1.0F)),
                               file_of("b", std::vector<float>(60, 0.0F)),
                               file_of("c", std::vector<float>(60, 0.5F))});
  const std::vector<ArenaRating> ratings = {rating("a", 1000), rating("b", 1000),
                                            rating("c", 1400)};
  const Json json = to_json(measure_mismatch(table, ratings, {.bootstrap = 0}), Json());
  EXPECT_EQ(json["pairs"][0]["flag"], "over-valued");
  EXPECT_EQ(json["pairs"][2]["flag"], "under-valued");
  EXPECT_TRUE(json["matrix"][0][0].is_null());
  EXPECT_EQ(json["matrix"][0][1], json["pairs"][0]["mismatch_before"]);
  EXPECT_EQ(json["matrix"][2][1], json["pairs"][5]["mismatch_before"]);
  EXPECT_EQ(json["multiplicity"]["num_tests"], 6);
  EXPECT_EQ(json["policies"][0]["flag"], "over-valued");
  EXPECT_EQ(json["policies"][1]["flag"], "under-valued");
  EXPECT_GT(json["policies"][0]["mean_mismatch"], 0.0);
  EXPECT_TRUE(json["policies"][0]["mean_mismatch_ci95"].is_null());
  EXPECT_EQ(json["policies"][0]["num_prompts"], 60);
}

}  // namespace
}  // namespace charm::measure
