#include "charm/calibrate/calibrate_stage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/base/hashing.h"
#include "charm/calibrate/calibration.h"
#include "charm/records/score.h"
#include "tests/support/expect_error.h"
#include "tests/unit/base/temp_folder.h"
#include "tests/unit/calibrate/score_worlds.h"

namespace charm::calibrate {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::ordered_json;

class CalibrateStageTest : public ::testing::Test {
 protected:
  void SetUp() override {
    options_.scores = {write("over", 1.0), write("ref", 0.0)};
    options_.ratings = folder_ / "ratings.json";
    write_file(
        options_.ratings,
        R"([{"name": "over", "elo": 1216, "ci": [1212, 1220]}, {"name": "REF", "elo": 1248}])");
    options_.reference = "ref";
    options_.output = folder_ / "out" / "calibration.json";
    options_.solve.bootstrap = 50;
  }

  fs::path write(const std::string& policy, double mean, std::size_t num_prompts = 100) {
    std::string text;
    for (const Score& row : make_scores(policy, num_prompts, mean).rows) {
      text += Json{{"prompt_id", row.prompt_id},
                   {"prompt", "q"},
                   {"response", "r"},
                   {"policy", policy},
                   {"score", row.score}}
                  .dump() +
              "\n";
    }
    const fs::path path = folder_ / (policy + ".jsonl");
    write_file(path, text);
    return path;
  }

  void expect_error(ErrorKind kind, const std::string& part) {
    EXPECT_TRUE(test::throws_error(kind, part, [&] { calibrate(options_); }));
    EXPECT_FALSE(fs::exists(options_.output));
  }

  const testing::TempFolder folder_;
  CalibrateOptions options_;
};

TEST_F(CalibrateStageTest, WritesEveryFieldAndTheSameBytesAgain) {
  calibrate(options_);
  const std::string text = read_file(options_.output);
  const Json json = Json::parse(text);
  EXPECT_EQ(json.at("mode"), "same-prompt");
  EXPECT_EQ(json.at("solver"), "exact");
  EXPECT_EQ(json.at("ties"), "loss");
  EXPECT_EQ(json.at("reference"), "ref");
  EXPECT_EQ(json.at("num_prompts"), 100);
  ASSERT_EQ(json.at("inputs").size(), 3u);
  EXPECT_EQ(json["inputs"][0]["sha256"], sha256_file(options_.scores[0]));
  ASSERT_EQ(json.at("policies").size(), 2u);
  const Json& over = json["policies"][0];
  EXPECT_EQ(over.at("policy"), "over");
  EXPECT_EQ(over.at("rating"), 1216.0);
  EXPECT_EQ(over.at("rating_ci95"), Json::array({1212.0, 1220.0}));
  EXPECT_LT(over.at("offset"), 0.0);
  for (const char* key : {"offset_ci95", "offset_interval"})
    EXPECT_EQ(over.at(key).size(), 2u) << key;
  EXPECT_TRUE(over.at("offset_se").is_number());
  EXPECT_TRUE(json["policies"][1].at("rating_ci95").is_null());
  ASSERT_EQ(json.at("pairs").size(), 1u);
  const Json& pair = json["pairs"][0];
  EXPECT_EQ(pair.at("policy"), "over");
  EXPECT_EQ(pair.at("reference"), "ref");
  for (const char* key :
       {"num_prompts", "target_win_rate", "win_rate_before", "win_rate_after", "mismatch_before",
        "mismatch_after", "ties_before", "ties_after", "residual"}) {
    EXPECT_TRUE(pair.at(key).is_number()) << key;
  }
  for (const char* key : {"win_rate_before_ci95", "win_rate_after_ci95", "mismatch_before_ci95",
                          "mismatch_after_ci95"}) {
    EXPECT_EQ(pair.at(key).size(), 2u) << key;
  }
  EXPECT_TRUE(json.at("warnings").is_array());
  EXPECT_TRUE(fs::exists(options_.output.string() + ".manifest.json"));

  options_.solve.num_threads = 3;
  calibrate(options_);
  EXPECT_EQ(read_file(options_.output), text);
}

TEST_F(CalibrateStageTest, NoBootstrapMeansNoIntervals) {
  options_.solve.bootstrap = 0;
  calibrate(options_);
  const Json json = Json::parse(read_file(options_.output));
  EXPECT_TRUE(json["policies"][0]["offset_se"].is_null());
  EXPECT_TRUE(json["pairs"][0]["mismatch_after_ci95"].is_null());
}

TEST_F(CalibrateStageTest, SubsetOfPolicies) {
  options_.scores.push_back(write("third", 0.5));
  options_.policies = {"over"};
  calibrate(options_);
  EXPECT_EQ(Json::parse(read_file(options_.output)).at("policies").size(), 2u);
}

TEST_F(CalibrateStageTest, HeldOutPromptsTakeNoPartInTheFit) {
  // Prompts need texts of their own, by which they are split.
  const auto distinct = [&](const std::string& policy, double mean) {
    std::string text;
    for (const Score& row : make_scores(policy, 300, mean).rows) {
      text += Json{{"prompt_id", row.prompt_id},
                   {"prompt", "question " + row.prompt_id},
                   {"response", "r"},
                   {"policy", policy},
                   {"score", row.score}}
                  .dump() +
              "\n";
    }
    const fs::path path = folder_ / (policy + ".jsonl");
    write_file(path, text);
    return path;
  };
  options_.scores = {distinct("over", 1.0), distinct("ref", 0.0)};
  options_.holdout = 0.3;
  calibrate(options_);
  const Json json = Json::parse(read_file(options_.output));
  const Json& held_out = json.at("held_out");
  EXPECT_EQ(held_out.at("share"), 0.3);
  EXPECT_EQ(json.at("num_prompts").get<int>() + held_out.at("num_prompts").get<int>(), 300);
  EXPECT_NEAR(held_out.at("num_prompts").get<int>(), 90, 25);
  ASSERT_EQ(held_out.at("pairs").size(), 1u);
  EXPECT_EQ(held_out["pairs"][0].at("mismatch_after_ci95").size(), 2u);
  EXPECT_FALSE(held_out["pairs"][0].contains("leverage"));
  for (const char* key : {"before", "after", "by_chance"}) {
    EXPECT_GT(held_out.at("mean_abs_mismatch").at(key), 0.0) << key;
    EXPECT_TRUE(json.at("mean_abs_mismatch").at(key).is_number()) << key;
  }
  EXPECT_EQ(json["inputs"][0].at("num_rows"), 300);

  fs::remove(options_.output);
  options_.holdout = 0.05;
  expect_error(ErrorKind::kInput, "on the held-out prompts");
  options_.holdout = 0.3;
  options_.held_out_scores = {options_.scores[0]};
  expect_error(ErrorKind::kUsage, "give only one of them");
}

TEST_F(CalibrateStageTest, WrongInput) {
  auto options = options_;
  options_.reference = "rfe";
  expect_error(ErrorKind::kUsage, "no scores of policy 'rfe'; nearest names in the scores: ref");
  options_ = options;
  options_.reference = "";
  expect_error(ErrorKind::kUsage, "--reference");
  options_ = options;
  options_.scores = {write("over", 1.0), options.scores[1], options.scores[1]};
  expect_error(ErrorKind::kInput, "policy 'ref' occurs in two files");
  options_ = options;
  options_.scores = {write("over", 1.0, 20), options.scores[1]};
  expect_error(ErrorKind::kInput, "20 prompts in common");
  options_ = options;
  options_.scores = {options.scores[1]};
  expect_error(ErrorKind::kInput, "only policy 'ref'");
  options_ = options;
  options_.scores = {write("over", 1.0), write("unrated", 0.0)};
  options_.reference = "over";
  expect_error(ErrorKind::kInput, "no rating for policy 'unrated'");
  options_ = options;
  options_.scores[0] = folder_ / "absent.jsonl";
  expect_error(ErrorKind::kIo, "absent.jsonl");
}

}  // namespace
}  // namespace charm::calibrate
