#include "charm/show/show_stage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "charm/base/error.h"
#include "charm/records/response.h"
#include "charm/storage/record_writer.h"
#include "tests/support/expect_error.h"
#include "tests/unit/base/temp_folder.h"

namespace charm::show {
namespace {

using Json = nlohmann::ordered_json;
using ::testing::HasSubstr;

/// Eight prompts: `loud` wins on six of them, its margins are 1, 2, ..., 6, -1, -2.
class ShowStage : public ::testing::Test {
 protected:
  void SetUp() override {
    options_.scores = {write("loud", {1, 2, 3, 4, 5, 6, 0, 0}),
                       write("quiet", {0, 0, 0, 0, 0, 0, 1, 2})};
    options_.policy = "loud";
    options_.against = "quiet";
    write_file(ratings_, R"({"loud": 1000, "quiet": 1000})");
    write_file(folder_ / "calibration.json",
               R"({"reference": "quiet", "policies": [{"policy": "quiet", "offset": 0.5},
                   {"policy": "loud", "offset": -2.0}]})");
  }

  fs::path write(const std::string& policy, const std::vector<float>& scores) {
    std::vector<ScoredResponse> rows;
    for (std::size_t i = 0; i < scores.size(); ++i) {
      ScoredResponse& row = rows.emplace_back();
      row.response = {.prompt_id = fmt::format("p{}", i),
                      .prompt = {{"user", fmt::format("question {}, \"quoted\"", i)}},
                      .response = fmt::format("{} answers {}", policy, i),
                      .policy = policy};
      row.score = scores[i];
    }
    storage::write_scores(folder_ / (policy + ".parquet"), rows);
    return folder_ / (policy + ".parquet");
  }

  std::vector<std::string> ids(const ShowResult& result) const {
    std::vector<std::string> all;
    for (const Comparison& one : result.comparisons) all.push_back(one.prompt_id);
    return all;
  }

  const testing::TempFolder folder_;
  const fs::path ratings_ = folder_ / "ratings.json";
  ShowOptions options_;
};

TEST_F(ShowStage, FlippedComparisonsComeFirst) {
  options_.calibration = folder_ / "calibration.json";
  const ShowResult result = show(options_);
  EXPECT_DOUBLE_EQ(*result.offset, -2.5);
  EXPECT_EQ(result.num_common, 8);
  EXPECT_EQ(result.num_flips, 2);
  EXPECT_DOUBLE_EQ(result.win_rate_before, 0.75);
  EXPECT_DOUBLE_EQ(result.win_rate_after, 0.5);
  EXPECT_THAT(ids(result), ::testing::ElementsAre("p1", "p0", "p5", "p4", "p3", "p2", "p6", "p7"));
  EXPECT_EQ(result.comparisons[0].response_policy, "loud answers 1");
  EXPECT_EQ(result.comparisons[0].response_against, "quiet answers 1");
  EXPECT_EQ(result.comparisons[0].after, Winner::kAgainst);
  options_.sort = stats::ComparisonOrder::kMargin;
  options_.top = 3;
  EXPECT_THAT(ids(show(options_)), ::testing::ElementsAre("p5", "p4", "p3"));
}

TEST_F(ShowStage, TheOtherWayRoundTheLossesComeFirst) {
  options_.calibration = folder_ / "calibration.json";
  std::swap(options_.policy, options_.against);
  const ShowResult result = show(options_);
  EXPECT_DOUBLE_EQ(*result.offset, 2.5);
  EXPECT_EQ(ids(result).front(), "p1");
  EXPECT_DOUBLE_EQ(result.win_rate_before, 0.25);
}

TEST_F(ShowStage, WithRatingsTheOffsetIsThatOfThePair) {
  options_.ratings = ratings_;
  const ShowResult result = show(options_);
  // 4 of 8 wins on the plateau (-3, -2].
  EXPECT_DOUBLE_EQ(*result.offset, -2.5);
  EXPECT_DOUBLE_EQ(*result.target, 0.5);
  EXPECT_DOUBLE_EQ(result.win_rate_after, 0.5);
}

TEST_F(ShowStage, TextsAreShownWithoutAFiniteOffset) {
  write_file(ratings_, R"({"loud": 2200, "quiet": 100})");
  options_.ratings = ratings_;
  const ShowResult result = show(options_);
  EXPECT_FALSE(result.offset);
  EXPECT_THAT(result.no_offset, HasSubstr("loud"));
  EXPECT_EQ(result.num_flips, 0);
  EXPECT_EQ(result.comparisons.size(), 8u);
}

TEST_F(ShowStage, WritesJsonLinesAndCsv) {
  options_.calibration = folder_ / "calibration.json";
  options_.top = 2;
  options_.output = folder_ / "shown.jsonl";
  show(options_);
  const std::string lines = read_file(*options_.output);
  const Json first = Json::parse(lines.substr(0, lines.find('\n')));
  EXPECT_EQ(first["prompt_id"], "p1");
  EXPECT_EQ(first["prompt"][0]["content"], "question 1, \"quoted\"");
  EXPECT_EQ(first["score_policy"], 2.0);
  EXPECT_EQ(first["margin"], 2.0);
  EXPECT_EQ(first["offset"], -2.5);
  EXPECT_EQ(first["winner_before"], "loud");
  EXPECT_EQ(first["winner_after"], "quiet");
  EXPECT_EQ(first["flips"], true);
  options_.output = folder_ / "shown.csv";
  show(options_);
  EXPECT_EQ(read_file(*options_.output),
            "prompt_id,sample,prompt,policy,against,response_policy,response_against,score_policy,"
            "score_against,margin,offset,margin_after,winner_before,winner_after,flips\r\n"
            "p1,0,\"question 1, \"\"quoted\"\"\",loud,quiet,loud answers 1,quiet answers "
            "1,2.0,0.0,2.0,-2.5,-0.5,loud,quiet,true\r\n"
            "p0,0,\"question 0, \"\"quoted\"\"\",loud,quiet,loud answers 0,quiet answers "
            "0,1.0,0.0,1.0,-2.5,-1.5,loud,quiet,true\r\n");
  options_.output = folder_ / "shown.parquet";
  EXPECT_ERROR(kUsage, ".jsonl or .csv", show(options_));
}

TEST_F(ShowStage, WrongNamesAndOptionsAreErrors) {
  EXPECT_ERROR(kUsage, "either --ratings or --calibration", show(options_));
  options_.calibration = folder_ / "calibration.json";
  options_.against = "loud";
  EXPECT_ERROR(kUsage, "expected two policies", show(options_));
  options_.against = "quite";
  EXPECT_ERROR(kUsage, "nearest names in the scores: quiet", show(options_));
  options_.against = "quiet";
  write_file(folder_ / "calibration.json",
             R"({"reference": "quiet", "policies": [{"policy": "quiet", "offset": 0.0},
                 {"policy": "other", "offset": 0.5}]})");
  EXPECT_ERROR(kInput, "no offset of policy 'loud'", show(options_));
}

}  // namespace
}  // namespace charm::show
