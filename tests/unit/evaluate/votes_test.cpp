#include "charm/evaluate/votes.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "charm/base/files.h"
#include "charm/base/hashing.h"
#include "charm/evaluate/evaluate_stage.h"
#include "tests/support/expect_error.h"
#include "tests/support/source_dir.h"
#include "tests/unit/base/temp_folder.h"
#include "tests/unit/evaluate/eval_rows.h"

namespace charm::evaluate {
namespace {

ScoredVote vote(const char* prompt, double outcome, float score_a, float score_b) {
  ScoredVote scored;
  scored.vote = {.prompt_id = prompt, .model_a = "x", .model_b = "y", .outcome = outcome};
  scored.score_a = score_a;
  scored.score_b = score_b;
  return scored;
}

results::Calibration calibration(double offset, double temperature) {
  results::Calibration calibration;
  calibration.reference = "y";
  calibration.policies = {{.policy = "x", .offset = {.value = offset}}, {.policy = "y"}};
  calibration.votes = results::VoteFit{};
  calibration.votes->temperature.value = temperature;
  return calibration;
}

double sigmoid(double z) { return 1.0 / (1.0 + std::exp(-z)); }

TEST(VotesBenchmark, MeasuresByHand) {
  const std::vector<ScoredVote> votes = {vote("p", 1.0, 2, 1), vote("p", 0.0, 3, 1),
                                         vote("q", 0.5, 0, 1)};
  const results::Evaluation raw = votes_result(votes, {}, {.num_replicates = 50});
  EXPECT_EQ(value(raw.overall, "num_votes"), 3);
  EXPECT_EQ(value(raw.overall, "num_decided"), 2);
  EXPECT_EQ(value(raw.overall, "num_prompts"), 2);
  EXPECT_EQ(raw.predictions.size(), 1u);
  EXPECT_DOUBLE_EQ(value(raw.predictions[0].metrics, "accuracy"), 0.5);
  const double p1 = sigmoid(1), p2 = sigmoid(2), p3 = sigmoid(-1);
  EXPECT_NEAR(value(raw.predictions[0].metrics, "log_loss"),
              -(std::log(p1) + std::log(1 - p2) + 0.5 * std::log(p3) + 0.5 * std::log(1 - p3)) / 3,
              1e-12);
  EXPECT_NEAR(value(raw.predictions[0].metrics, "brier"),
              ((p1 - 1) * (p1 - 1) + p2 * p2 + (p3 - 0.5) * (p3 - 0.5)) / 3, 1e-12);
  // Confidences 0.73 (right) and 0.88 (wrong) in bins of their own.
  EXPECT_NEAR(value(raw.predictions[0].metrics, "ece"), ((1 - p1) + p2) / 2, 1e-12);
  EXPECT_TRUE(raw.predictions[0].metrics.find("accuracy")->ci95);
  EXPECT_FALSE(raw.predictions[0].metrics.find("ece")->ci95);

  const results::Evaluation shifted =
      votes_result(votes, calibration(-1.5, 2.0), {.num_replicates = 0});
  EXPECT_EQ(value(shifted.overall, "temperature"), 2.0);
  const double q1 = sigmoid(-0.25), q2 = sigmoid(0.25), q3 = sigmoid(-1.25);
  EXPECT_NEAR(value(shifted.predictions[1].metrics, "log_loss"),
              -(std::log(q1) + std::log(1 - q2) + 0.5 * std::log(q3) + 0.5 * std::log(1 - q3)) / 3,
              1e-12);
  EXPECT_NEAR(
      value(shifted.predictions[0].metrics, "brier"),
      (std::pow(sigmoid(0.5) - 1, 2) + std::pow(sigmoid(1), 2) + std::pow(sigmoid(-0.5) - 0.5, 2)) /
          3,
      1e-12);
  EXPECT_NEAR(value(shifted.predictions[2].metrics, "brier"),
              value(shifted.predictions[1].metrics, "brier") -
                  value(shifted.predictions[0].metrics, "brier"),
              1e-12);
}

TEST(VotesBenchmark, DropsPoliciesWithoutAnOffset) {
  std::vector<ScoredVote> votes = {vote("p", 1.0, 2, 1), vote("q", 1.0, 2, 1)};
  votes[1].vote.model_b = "z";
  const results::Evaluation result =
      votes_result(votes, calibration(0.0, 1.0), {.num_replicates = 0});
  EXPECT_EQ(value(result.overall, "num_votes"), 1);
  EXPECT_EQ(value(result.overall, "num_without_offset"), 1);
  votes.erase(votes.begin());
  EXPECT_ERROR(kInput, "no decided votes",
               votes_result(votes, calibration(0.0, 1.0), {.num_replicates = 0}));
}

TEST(VotesBenchmark, WarnsOfACalibrationOfTheSameVotes) {
  const testing::TempFolder folder;
  std::string rows;
  for (int i = 0; i < 40; ++i) {
    rows += nlohmann::json{{"prompt_id", std::to_string(i)},
                           {"model_a", "x"},
                           {"model_b", "y"},
                           {"winner", i % 3 == 0 ? "model_b" : "model_a"},
                           {"score_a", 1.0 + i % 5},
                           {"score_b", 2.0}}
                .dump() +
            "\n";
  }
  const fs::path votes = folder / "votes.jsonl";
  write_file(votes, rows);
  const auto write_calibration = [&](double holdout, const std::string& sha256) {
    results::Calibration made = calibration(0.5, 1.0);
    made.options.mode.kind = results::ModeKind::kVotes;
    made.votes->holdout = holdout;
    write_file(
        folder / "calibration.json",
        results::to_json(made, {{{"path", "v"}, {"sha256", sha256}, {"num_rows", 40}}}).dump());
  };
  EvaluateOptions options;
  options.benchmark = Benchmark::kVotes;
  options.scores = {votes};
  options.calibration = folder / "calibration.json";
  options.output = folder / "out.json";
  options.bootstrap = 20;
  const auto warnings = [&] {
    evaluate(options, {});
    return nlohmann::json::parse(read_file(options.output))["warnings"].dump();
  };
  write_calibration(0.0, sha256_file(votes));
  EXPECT_NE(warnings().find("was fitted to these votes"), std::string::npos);
  write_calibration(0.0, "another");
  EXPECT_EQ(warnings(), "[]");
  write_calibration(0.5, sha256_file(votes));
  options.holdout = 0.5;
  EXPECT_EQ(warnings(), "[]");
  const auto json = nlohmann::json::parse(read_file(options.output));
  EXPECT_LT(json["num_votes"], 40);
  options.seed = 1;
  EXPECT_NE(warnings().find("was fitted to these votes"), std::string::npos);
}

}  // namespace
}  // namespace charm::evaluate
