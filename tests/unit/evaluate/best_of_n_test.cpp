#include "charm/evaluate/best_of_n.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "charm/base/files.h"
#include "charm/evaluate/evaluate_stage.h"
#include "tests/support/expect_error.h"
#include "tests/unit/base/temp_folder.h"

namespace charm::evaluate {
namespace {

Candidate candidate(const char* prompt, const char* policy, double score, double after,
                    const std::string& text) {
  Candidate made;
  made.prompt_id = prompt;
  made.policy = policy;
  made.score = score;
  made.score_after = after;
  made.features = response_features(text);
  made.gold_score = static_cast<double>(text.size());
  return made;
}

const PickMeasure& named(const std::vector<PickMeasure>& measures, std::string_view name) {
  return *std::ranges::find(measures, name, &PickMeasure::name);
}

TEST(BestOfN, SharesAndBiasesByHand) {
  // On p the long text of x wins before, y's after; on q y wins both.
  const std::vector<Candidate> rows = {candidate("p", "x", 3.0, 1.0, "# a\n- one\n- two\n**bold**"),
                                       candidate("p", "y", 2.0, 2.0, "b"),
                                       candidate("q", "x", 1.0, -1.0, "cc"),
                                       candidate("q", "y", 5.0, 5.0, "dddd")};
  const std::map<std::string, double> ratings = {{"x", 1000.0},
                                                 {"y", 1000.0 + 400 * std::log10(3)}};
  const std::vector<PicksOfN> picks = best_of_n_audit(rows, ratings, {.num_replicates = 20});
  ASSERT_EQ(picks.size(), 2u);
  const PicksOfN& one = picks[0];
  EXPECT_EQ(one.n, 1);
  EXPECT_DOUBLE_EQ(named(one.policies, "x").before.value, 0.5);
  EXPECT_DOUBLE_EQ(one.same_pick->value, 1.0);
  const PicksOfN& two = picks[1];
  EXPECT_DOUBLE_EQ(two.kl, std::log(2.0) - 0.5);
  EXPECT_DOUBLE_EQ(named(two.policies, "x").before.value, 0.5);
  EXPECT_DOUBLE_EQ(named(two.policies, "x").after->value, 0.0);
  EXPECT_DOUBLE_EQ(named(two.policies, "x").difference->value, -0.5);
  EXPECT_NEAR(*named(two.policies, "x").implied, 0.25, 1e-9);
  EXPECT_DOUBLE_EQ(two.same_pick->value, 0.5);
  EXPECT_DOUBLE_EQ(named(two.measures, "lists").before.value, 1.0);  // two items on p, none on q
  EXPECT_DOUBLE_EQ(named(two.measures, "headers").before.value, 0.5);
  EXPECT_DOUBLE_EQ(named(two.measures, "bold").after->value, 0.0);
  EXPECT_DOUBLE_EQ(named(two.measures, "gold_score").after->value, (1.0 + 4.0) / 2);
  EXPECT_TRUE(named(two.measures, "length").difference->ci95);
}

TEST(BestOfN, StageReadsSamplesQualityAndCorrections) {
  const testing::TempFolder folder;
  std::string rows, after;
  for (int p = 0; p < 6; ++p) {
    for (int sample = 0; sample < 4; ++sample) {
      nlohmann::json row = {{"prompt_id", "p" + std::to_string(p)},
                            {"prompt", "q"},
                            {"response", std::string(static_cast<std::size_t>(1 + sample), 'a')},
                            {"policy", sample % 2 == 0 ? "x" : "y"},
                            {"sample", sample},
                            {"score", sample},
                            {"label", sample == 0}};
      rows += row.dump() + "\n";
      row["score"] = -sample;
      after += row.dump() + "\n";
    }
  }
  write_file(folder / "scores.jsonl", rows);
  write_file(folder / "after.jsonl", after);
  EvaluateOptions options;
  options.benchmark = Benchmark::kBestOfN;
  options.scores = {folder / "scores.jsonl"};
  options.scores_after = {folder / "after.jsonl"};
  options.output = folder / "out.json";
  options.bootstrap = 20;
  evaluate(options, {});
  const auto json = nlohmann::json::parse(read_file(options.output));
  ASSERT_EQ(json["picks"].size(), 3u);
  const auto& four = json["picks"][2];
  EXPECT_EQ(four["n"], 4);
  EXPECT_NEAR(four["measures"]["length"]["before"].get<double>(), 4.0, 1e-12);
  EXPECT_NEAR(four["measures"]["length"]["after"].get<double>(), 1.0, 1e-12);
  EXPECT_NEAR(four["measures"]["label"]["before"].get<double>(), 0.0, 1e-12);
  EXPECT_NEAR(four["measures"]["label"]["after"].get<double>(), 1.0, 1e-12);
  EXPECT_NEAR(four["policies"]["y"]["before"].get<double>(), 1.0, 1e-12);
  EXPECT_FALSE(four["policies"]["y"].contains("implied"));

  options.scores_after = {};
  write_file(folder / "scores.jsonl", after.substr(0, after.find('\n') + 1));
  EXPECT_ERROR(kInput, "every prompt has one response only", evaluate(options, {}));
  options.scores_after = {folder / "after.jsonl"};
  options.calibration = folder / "calibration.json";
  EXPECT_ERROR(kUsage, "excludes --calibration", evaluate(options, {}));
}

}  // namespace
}  // namespace charm::evaluate
