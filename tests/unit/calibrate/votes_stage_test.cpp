#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "charm/base/files.h"
#include "charm/calibrate/calibrate_stage.h"
#include "tests/support/expect_error.h"
#include "tests/support/source_dir.h"
#include "tests/unit/base/temp_folder.h"

namespace charm::calibrate {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using Json = nlohmann::ordered_json;

const fs::path kGolden = fs::path(charm::test::kSourceDir) / "tests/data/golden/votes";

class VotesStageTest : public ::testing::Test {
 protected:
  void SetUp() override {
    options_.votes = {kGolden / "votes.jsonl"};
    options_.reference = "elm";
    options_.output = folder_ / "calibration.json";
    options_.solve.bootstrap = 0;
  }

  Json result() {
    calibrate(options_);
    return Json::parse(read_file(options_.output));
  }

  // Against make_votes_golden.py; the prior's reference is solved to 1e-8 only.
  void expect_golden(const std::string& name, double tolerance = 1e-9) {
    const Json golden = Json::parse(read_file(kGolden / "expected.json")).at(name);
    const Json ours = result();
    EXPECT_EQ(ours["mode"], "votes");
    EXPECT_EQ(ours["interval"], "sandwich");
    for (const char* member : {"temperature", "temperature_se"})
      EXPECT_NEAR(ours[member].get<double>(), golden[member].get<double>(), tolerance) << member;
    EXPECT_NEAR(ours["votes"]["log_loss"].get<double>(), golden["log_loss"].get<double>(),
                tolerance);
    ASSERT_EQ(ours["policies"].size(), 5u);
    for (const Json& policy : ours["policies"]) {
      const std::string policy_name = policy["policy"];
      if (policy_name == options_.reference) {
        EXPECT_EQ(policy["offset"], 0.0);
        continue;
      }
      const Json& expected = golden["offsets"][policy_name];
      EXPECT_NEAR(policy["offset"].get<double>(), expected[0].get<double>(), tolerance);
      EXPECT_NEAR(policy["offset_se"].get<double>(), expected[1].get<double>(), tolerance);
      EXPECT_NEAR(policy["offset_ci95"][1].get<double>(),
                  expected[0].get<double>() + 1.959963984540054 * expected[1].get<double>(),
                  2 * tolerance);
    }
    EXPECT_EQ(ours["style"].size(), golden["style"].size());
    for (const auto& [feature, expected] : golden["style"].items()) {
      const Json& weight = ours["style"][feature];
      EXPECT_NEAR(weight["weight"].get<double>(), expected[0].get<double>(), tolerance) << feature;
      EXPECT_NEAR(weight["weight_se"].get<double>(), expected[1].get<double>(), tolerance);
    }
    if (!golden.contains("nu")) return;
    EXPECT_NEAR(ours["tie_parameter"].get<double>(), golden["nu"].get<double>(), tolerance);
  }

  // Votes between three policies on 40 prompts, scores that predict them somewhat.
  std::vector<Json> rows() {
    std::vector<Json> rows;
    const char* names[] = {"a", "b", "c"};
    for (int i = 0; i < 240; ++i) {
      const int one = i % 3, other = (i + 1 + i / 3 % 2) % 3;
      const double a = (i * 7 % 11) * 0.1, b = (i * 5 % 13) * 0.1;
      const bool wins = (a > b) != (i % 4 == 0);
      rows.push_back({{"prompt_id", "p" + std::to_string(i % 40)},
                      {"model_a", names[one]},
                      {"model_b", names[other]},
                      {"winner", i % 10 == 0 ? "tie"
                                 : wins      ? "model_a"
                                             : "model_b"},
                      {"score_a", a},
                      {"score_b", b},
                      {"judge", "j" + std::to_string(i)}});
    }
    return rows;
  }

  void use(const std::vector<Json>& rows) {
    std::string text;
    for (const Json& row : rows) text += row.dump() + "\n";
    options_.votes = {folder_ / "votes.jsonl"};
    options_.reference = "a";
    write_file(options_.votes[0], text);
  }

  const testing::TempFolder folder_;
  CalibrateOptions options_;
};

TEST_F(VotesStageTest, HalfVotesEqualStatsmodels) { expect_golden("half"); }

TEST_F(VotesStageTest, StyleEqualsStatsmodels) {
  options_.style = StyleControl::kFastChat;
  expect_golden("half_style");
}

TEST_F(VotesStageTest, ClustersOfJudgesEqualStatsmodels) {
  options_.style = StyleControl::kFastChat;
  options_.cluster = VoteCluster::kJudge;
  expect_golden("half_style_judge");
}

TEST_F(VotesStageTest, DavidsonEqualsAnIndependentLikelihood) {
  options_.style = StyleControl::kFastChat;
  options_.ties = CalibrateTies::kDavidson;
  expect_golden("davidson_style");
}

TEST_F(VotesStageTest, RatingsAreAPriorWeightedByTheirIntervals) {
  options_.ratings = kGolden / "ratings.json";
  expect_golden("half_prior", 2e-8);
  options_.ties = CalibrateTies::kDavidson;
  expect_golden("davidson_prior", 2e-8);
}

TEST_F(VotesStageTest, BootstrapAgreesWithTheSandwich) {
  const Json sandwich = result();
  options_.interval = IntervalKind::kBootstrap;
  options_.solve.bootstrap = 400;
  const Json bootstrap = result();
  EXPECT_EQ(bootstrap["interval"], "bootstrap");
  EXPECT_EQ(bootstrap["temperature"], sandwich["temperature"]);
  EXPECT_NEAR(bootstrap["temperature_se"].get<double>(), sandwich["temperature_se"].get<double>(),
              0.03);
  for (std::size_t p = 0; p < 5; ++p) {
    EXPECT_NEAR(bootstrap["policies"][p]["offset_se"].get<double>(),
                sandwich["policies"][p]["offset_se"].get<double>(), 0.04);
  }
  EXPECT_EQ(result(), bootstrap);
}

TEST_F(VotesStageTest, IsReadBackWithEveryMember) {
  options_.style = StyleControl::kFastChat;
  options_.ties = CalibrateTies::kDavidson;
  const Json written = result();
  const Calibration read = results::read_calibration(options_.output);
  EXPECT_EQ(results::to_json(read, written["inputs"]), written);
}

TEST_F(VotesStageTest, SwappingSidesChangesNothing) {
  std::vector<Json> votes = rows();
  use(votes);
  const Json before = result();
  for (Json& row : votes) {
    std::swap(row["model_a"], row["model_b"]);
    std::swap(row["score_a"], row["score_b"]);
    if (row["winner"] != "tie") row["winner"] = row["winner"] == "model_a" ? "model_b" : "model_a";
  }
  use(votes);
  const Json after = result();
  EXPECT_NEAR(before["temperature"].get<double>(), after["temperature"].get<double>(), 1e-9);
  for (std::size_t p = 0; p < 3; ++p) {
    EXPECT_NEAR(before["policies"][p]["offset"].get<double>(),
                after["policies"][p]["offset"].get<double>(), 1e-9);
  }
}

TEST_F(VotesStageTest, HeldOutPromptsAreNotFitted) {
  options_.holdout = 0.3;
  const Json json = result();
  EXPECT_EQ(json["held_out"]["share"], 0.3);
  const std::int64_t held_out = json["held_out"]["num_prompts"];
  EXPECT_GT(held_out, 10);
  EXPECT_EQ(json["num_prompts"].get<std::int64_t>() + held_out, 90);
}

TEST_F(VotesStageTest, AJudgeWhoVotedOnceIsAClusterOfItsOwn) {
  use(rows());
  options_.cluster = VoteCluster::kJudge;  // 240 judges with one vote each
  const Json json = result();
  EXPECT_EQ(json["votes"]["num_clusters"], 240);
  EXPECT_GT(json["temperature_se"].get<double>(), 0.0);
}

TEST_F(VotesStageTest, RepeatedVotesAreNamedAndKept) {
  std::vector<Json> votes = rows();
  votes.push_back(votes.front());
  use(votes);
  const Json json = result();
  EXPECT_EQ(json["votes"]["num_votes"], 241);
  EXPECT_THAT(json["warnings"].dump(), HasSubstr("1 votes repeat an earlier vote"));
}

TEST_F(VotesStageTest, SeparatedPoliciesAreNamed) {
  std::vector<Json> votes = rows();
  for (int i = 0; i < 8; ++i) {
    votes.push_back(votes[static_cast<std::size_t>(i)]);
    votes.back()["model_a"] = "winner";
    votes.back()["winner"] = "model_a";
  }
  use(votes);
  EXPECT_ERROR(kInput, "the offset of 'winner' is infinite: won every vote", result());
  EXPECT_ERROR(kInput, "give --ratings as a prior", result());
  options_.ratings = folder_ / "ratings.json";
  write_file(options_.ratings, R"([{"name": "a", "elo": 1000, "ci": [980, 1020]},
    {"name": "b", "elo": 1000, "ci": [980, 1020]}, {"name": "c", "elo": 1000, "ci": [980, 1020]},
    {"name": "winner", "elo": 1100, "ci": [1060, 1140]}])");
  const Json json = result();
  EXPECT_TRUE(json["votes"]["rating_prior"].get<bool>());
  EXPECT_EQ(json["policies"][3]["policy"], "winner");
  EXPECT_LT(std::abs(json["policies"][3]["offset"].get<double>()), 20.0);
}

TEST_F(VotesStageTest, APriorNeedsIntervals) {
  use(rows());
  options_.ratings = folder_ / "ratings.json";
  write_file(options_.ratings, R"({"a": 1000, "b": 1010, "c": 990})");
  EXPECT_ERROR(kInput, "the rating of 'a' has no interval", result());
}

TEST_F(VotesStageTest, DisconnectedPoliciesAreNamed) {
  std::vector<Json> votes = rows();
  for (int i = 0; i < 2; ++i) {
    votes.push_back(votes[static_cast<std::size_t>(i)]);
    votes.back()["model_a"] = "x";
    votes.back()["model_b"] = "y";
    votes.back()["winner"] = i == 0 ? "model_a" : "model_b";
  }
  use(votes);
  EXPECT_ERROR(kInput, "no vote between 'x', 'y' and 'a', 'b', 'c'", result());
}

TEST_F(VotesStageTest, ScoresThatDoNotPredictVotesGiveNoOffsets) {
  std::vector<Json> votes = rows();
  for (Json& row : votes) std::swap(row["score_a"], row["score_b"]);
  use(votes);
  EXPECT_ERROR(kInput, "so the temperature is negative; no offsets", result());
  for (std::size_t i = 0; i < votes.size(); ++i) {
    votes[i]["score_a"] = (i * 37 % 101) * 0.1;
    votes[i]["score_b"] = (i * 53 % 103) * 0.1;
  }
  use(votes);
  EXPECT_ERROR(kInput, "the scores do not predict the votes", result());
  for (Json& row : votes) row["score_b"] = row["score_a"];
  use(votes);
  EXPECT_ERROR(kInput, "both responses of every vote have the same score", result());
}

TEST_F(VotesStageTest, ScoresThatPredictEveryVoteHaveNoTemperature) {
  std::vector<Json> votes = rows();
  for (Json& row : votes)
    row["winner"] =
        row["score_a"].get<double>() > row["score_b"].get<double>() ? "model_a" : "model_b";
  std::erase_if(votes, [](const Json& row) { return row["score_a"] == row["score_b"]; });
  use(votes);
  EXPECT_ERROR(kInput, "temperature", result());
}

TEST_F(VotesStageTest, BadRowsAreNamed) {
  const auto with = [&](const char* column, const Json& value) {
    std::vector<Json> votes = rows();
    votes[4][column] = value;
    use(votes);
  };
  with("winner", "model_c");
  EXPECT_ERROR(kInput, "votes.jsonl:5: winner is \"model_c\", expected model_a", result());
  with("winner", nullptr);
  EXPECT_ERROR(kInput, "votes.jsonl:5", result());
  with("score_a", nullptr);
  EXPECT_ERROR(kInput, "column 'score_a' is missing or null; score the votes first", result());
  with("prompt_id", "");
  EXPECT_ERROR(kInput, "column 'prompt_id' is missing or empty", result());
  with("model_b", rows()[4]["model_a"]);
  EXPECT_ERROR(kInput, "model_a and model_b are both", result());
  with("judge", nullptr);
  options_.cluster = VoteCluster::kJudge;
  EXPECT_ERROR(kInput, "--cluster judge: some votes name no judge", result());
  options_.cluster = VoteCluster::kPrompt;
  options_.style = StyleControl::kFastChat;
  EXPECT_ERROR(kInput, "style control needs length_a", result());
}

TEST_F(VotesStageTest, OptionsOfTheOtherKindAreRefused) {
  options_.solve.shrink = true;
  EXPECT_ERROR(kUsage, "--shrink has no meaning with --votes", result());
  options_.solve.shrink = false;
  options_.ties = CalibrateTies::kLoss;
  EXPECT_ERROR(kUsage, "--ties loss has no meaning with --votes", result());
  options_.ties = CalibrateTies::kDefault;
  options_.reference = "oat";
  EXPECT_ERROR(kUsage, "nearest names: oak", result());
  options_.votes.clear();
  options_.cluster = VoteCluster::kJudge;
  EXPECT_ERROR(kUsage, "--cluster needs --votes", result());
}

}  // namespace
}  // namespace charm::calibrate
