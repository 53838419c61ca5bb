#include "charm/measure/mismatch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/measure/measure_stage.h"

namespace charm::measure {
namespace {

using testing::HasSubstr;
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

TEST(Mismatch, AllOrderedPairsByHand) {
  const auto table = table_of(
      {file_of("a", {3, 3, 1, 1}), file_of("b", {1, 2, 1, 2}), file_of("c", {0, 0, 0, 0})});
  const std::vector<ArenaRating> ratings = {rating("a", 1200), rating("b", 1200),
                                            rating("c", 1200)};
  const Mismatch result =
      measure_mismatch(table, ratings, {.ties = stats::TieRule::kLoss, .bootstrap = 0});
  ASSERT_EQ(result.pairs.size(), 6u);
  EXPECT_EQ(result.pairs[0].policy, "a");
  EXPECT_EQ(result.pairs[0].reference, "b");
  EXPECT_DOUBLE_EQ(result.pairs[0].win_rate, 0.5);
  EXPECT_EQ(result.pairs[0].ties, 1);
  EXPECT_DOUBLE_EQ(result.pairs[0].mismatch, 0.0);
  EXPECT_DOUBLE_EQ(result.pairs[1].mismatch, 1.0);
  // With ties lost, MD(b, a) is not -MD(a, b).
  EXPECT_EQ(result.pairs[2].policy, "b");
  EXPECT_DOUBLE_EQ(result.pairs[2].win_rate, 0.25);
  EXPECT_DOUBLE_EQ(result.pairs[2].mismatch, -0.5);
  EXPECT_FALSE(result.pairs[0].mismatch_ci95);
  const Mismatch half =
      measure_mismatch(table, ratings, {.ties = stats::TieRule::kHalf, .bootstrap = 0});
  EXPECT_DOUBLE_EQ(half.pairs[0].win_rate, 0.625);
  EXPECT_DOUBLE_EQ(half.pairs[2].win_rate, 0.375);
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
      .ties = stats::TieRule::kLoss, .bootstrap = 200, .seed = 3, .num_threads = 1};
  const Mismatch one = measure_mismatch(table, ratings, options);
  options.num_threads = 4;
  const Mismatch four = measure_mismatch(table, ratings, options);
  EXPECT_EQ(mismatch_json(one, Json::array()).dump(), mismatch_json(four, Json::array()).dump());
  EXPECT_LT(one.pairs[0].mismatch_ci95->lo, one.pairs[0].mismatch);
  EXPECT_GT(one.pairs[0].mismatch_ci95->hi, one.pairs[0].mismatch);
  // A binomial share of 200 prompts: about 0.035 on each standard deviation.
  EXPECT_NEAR(one.pairs[0].win_rate_ci95->hi - one.pairs[0].win_rate_ci95->lo, 4 * 0.035, 0.03);
}

TEST(Mismatch, OnePolicyIsAnError) {
  const auto table = table_of({file_of("a", {1, 2})});
  EXPECT_THROW(measure_mismatch(table, std::vector<ArenaRating>{rating("a", 1200)}, {}), Error);
}

class MeasureStageTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) /
              (std::string("charm_measure_") +
               testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(folder_);
    options_.scores = {write("a", 3), write("b", 5)};
    options_.ratings = folder_ / "ratings.json";
    write_file(options_.ratings, R"({"a": 1200, "other": 1250})");
    options_.aliases = {{"b", "other"}};
    options_.output = folder_ / "mismatch.json";
    options_.bootstrap = 20;
  }
  void TearDown() override { fs::remove_all(folder_); }

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

  fs::path folder_;
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

}  // namespace
}  // namespace charm::measure
