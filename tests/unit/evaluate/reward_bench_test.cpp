#include "charm/evaluate/reward_bench.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/base/random.h"
#include "charm/evaluate/reward_bench_files.h"
#include "tests/support/expect_error.h"
#include "tests/support/source_dir.h"
#include "tests/unit/evaluate/eval_rows.h"

namespace charm::evaluate {
namespace {

nlohmann::json golden() {
  return nlohmann::json::parse(
      read_file(charm::test::kSourceDir + std::string("/tests/data/golden/eval/benchmarks.json")));
}

std::vector<ScoredEvalItem> golden_rows(const nlohmann::json& rows,
                                        const std::string& without = "") {
  std::vector<ScoredEvalItem> parsed;
  for (const auto& row : rows) {
    if (row["subset"] == without) continue;
    parsed.push_back(pair_row(row["subset"], row["id"].dump(), row["prompt"], row["score_chosen"],
                              row["score_rejected"]));
  }
  return parsed;
}

TEST(RewardBench, EqualsTheBenchmarksOwnCounting) {
  const nlohmann::json json = golden();
  const double tolerance = json["tolerance"];
  const nlohmann::json& expected = json["reward_bench"]["expected"];
  const RewardBenchResult result =
      reward_bench_result(golden_rows(json["reward_bench"]["rows"]), {.num_replicates = 0});
  ASSERT_EQ(result.subsets.size(), expected["subsets"].size());
  for (const SubsetAccuracy& subset : result.subsets) {
    EXPECT_NEAR(subset.accuracy.value, expected["subsets"][subset.name].get<double>(), tolerance)
        << subset.name;
  }
  double sum = 0.0;
  ASSERT_EQ(result.sections.size(), 4u);
  for (const SectionScore& section : result.sections) {
    EXPECT_NEAR(section.score.value, expected["sections"][section.name].get<double>(), tolerance)
        << section.name;
    sum += expected["sections"][section.name].get<double>();
  }
  ASSERT_TRUE(result.overall.has_value());
  EXPECT_NEAR(result.overall->value, sum / 4, tolerance);
  EXPECT_EQ(result.ties, json["reward_bench"]["ties"].get<std::int64_t>());
}

TEST(RewardBench, WeighsOnlyThePresentSubsets) {
  const nlohmann::json json = golden();
  const nlohmann::json& expected = json["reward_bench"]["expected_without_math_prm"];
  const RewardBenchResult result = reward_bench_result(
      golden_rows(json["reward_bench"]["rows"], "math-prm"), {.num_replicates = 0});
  EXPECT_NEAR(result.sections[3].score.value, expected["sections"]["Reasoning"].get<double>(),
              1e-12);
  EXPECT_THAT(result.incomplete,
              testing::Contains(testing::AllOf(testing::Field(&MissingRows::subset, "math-prm"),
                                               testing::Field(&MissingRows::num_rows, 0))));
}

TEST(RewardBench, WeightsAreThoseOfTheBenchmark) {
  const nlohmann::json counts = golden()["reward_bench"]["example_counts"];
  ASSERT_EQ(counts.size(), reward_bench_subsets().size());
  std::int64_t rows = 0;
  for (const RewardBenchSubset& subset : reward_bench_subsets()) {
    EXPECT_EQ(subset.weight, counts[std::string(subset.name)].get<std::int64_t>()) << subset.name;
    rows += subset.num_rows;
  }
  EXPECT_EQ(rows, 2985);
}

TEST(RewardBench, TieIsWrongAndCounted) {
  const std::vector<ScoredEvalItem> rows = {pair_row("hep-cpp", "0", "p", 1.0, 1.0),
                                            pair_row("hep-cpp", "1", "q", 2.0, 1.0)};
  const RewardBenchResult result = reward_bench_result(rows, {.num_replicates = 0});
  EXPECT_EQ(result.subsets[0].accuracy.value, 0.5);
  EXPECT_EQ(result.subsets[0].num_correct, 1);
  EXPECT_EQ(result.ties, 1);
}

TEST(RewardBench, MathCountsAs984) {
  // Reasoning = (984 * 1 + 164 * 0) / (984 + 164).
  const std::vector<ScoredEvalItem> rows = {pair_row("math-prm", "0", "p", 2.0, 1.0),
                                            pair_row("hep-go", "1", "q", 0.0, 1.0)};
  EXPECT_NEAR(reward_bench_result(rows, {.num_replicates = 0}).sections[0].score.value,
              984.0 / 1148.0, 1e-15);
}

TEST(RewardBench, OverallIsAbsentWhileASectionIsMissing) {
  const std::vector<ScoredEvalItem> rows = {pair_row("alpacaeval-easy", "0", "p", 2.0, 1.0),
                                            pair_row("donotanswer", "0", "q", 0.0, 1.0)};
  const RewardBenchResult result = reward_bench_result(rows, {.num_replicates = 0});
  EXPECT_FALSE(result.overall.has_value());
  EXPECT_EQ(result.overall_partial.value, 0.5);
  const nlohmann::ordered_json json = file_of(result);
  EXPECT_FALSE(json.contains("overall"));
  EXPECT_EQ(json["overall_partial"], 0.5);
}

TEST(RewardBench, IntervalsCover) {
  // One subset of each section, right rows in clusters: two rows a prompt that mostly agree, coarse
  // scores with ties.
  const std::vector<std::pair<std::string, double>> subsets = {
      {"alpacaeval-easy", 0.9}, {"llmbar-natural", 0.6}, {"donotanswer", 0.75}, {"hep-go", 0.5}};
  int covered = 0, subset_covered = 0;
  constexpr int kWorlds = 400;
  for (int world = 0; world < kWorlds; ++world) {
    RandomStream random(static_cast<std::uint64_t>(world), "test");
    std::vector<ScoredEvalItem> rows;
    for (const auto& [name, accuracy] : subsets) {
      double prompt_draw = 0.0;
      for (int i = 0; i < 80; ++i) {
        if (i % 2 == 0) prompt_draw = random.uniform();
        const double draw = random.uniform() < 0.7 ? prompt_draw : random.uniform();
        // A third of the wrong rows are ties.
        const double margin = draw < accuracy                        ? 0.5
                              : draw < accuracy + (1 - accuracy) / 3 ? 0.0
                                                                     : -0.5;
        rows.push_back(
            pair_row(name, std::to_string(i), name + std::to_string(i / 2), margin, 0.0));
      }
    }
    const RewardBenchResult result = reward_bench_result(
        rows, {.num_replicates = 400, .seed = static_cast<std::uint64_t>(world)});
    const double truth = (0.9 + 0.6 + 0.75 + 0.5) / 4;
    covered += result.overall->ci95->lo <= truth && truth <= result.overall->ci95->hi;
    for (std::size_t s = 0; s < subsets.size(); ++s) {
      const Estimate& estimate = result.subsets[s].accuracy;
      subset_covered +=
          estimate.ci95->lo <= subsets[s].second && subsets[s].second <= estimate.ci95->hi;
    }
  }
  EXPECT_NEAR(covered, kWorlds * 0.95, kWorlds * 0.03);
  EXPECT_NEAR(subset_covered, 4 * kWorlds * 0.95, 4 * kWorlds * 0.03);
}

TEST(RewardBench, AllRightIsNotCertain) {
  std::vector<ScoredEvalItem> rows;
  for (int i = 0; i < 20; ++i) {
    rows.push_back(pair_row("hep-go", std::to_string(i), std::to_string(i), 1.0, 0.0));
    rows.push_back(pair_row("hep-js", std::to_string(i), std::to_string(i), i % 2, 0.5));
  }
  const RewardBenchResult result = reward_bench_result(rows, {.num_replicates = 100, .seed = 1});
  // Wilson's interval of 20 of 20: 20 / (20 + 1.96^2).
  EXPECT_NEAR(result.subsets[0].accuracy.ci95->lo, 20.0 / (20.0 + 1.959964 * 1.959964), 1e-6);
  EXPECT_EQ(result.subsets[0].accuracy.ci95->hi, 1.0);
  EXPECT_LT(result.subsets[1].accuracy.ci95->hi, 1.0);
  EXPECT_FALSE(reward_bench_result(rows, {.num_replicates = 0}).subsets[0].accuracy.ci95);
}

TEST(RewardBench, ASectionOfTwoRowsIsNotCertain) {
  const std::vector<ScoredEvalItem> rows = {pair_row("hep-go", "0", "p", 1.0, 0.0),
                                            pair_row("hep-js", "1", "q", 1.0, 0.0)};
  const RewardBenchResult result = reward_bench_result(rows, {.num_replicates = 100, .seed = 1});
  EXPECT_EQ(result.sections[0].score.value, 1.0);
  EXPECT_LT(result.sections[0].score.ci95->lo, 0.5);
  EXPECT_LT(result.overall_partial.ci95->lo, 0.5);
}

TEST(RewardBench, SaysHowManyRowsAreMissing) {
  const std::vector<ScoredEvalItem> rows = {pair_row("hep-go", "0", "p", 1.0, 0.0)};
  const RewardBenchResult result = reward_bench_result(rows, {.num_replicates = 0});
  EXPECT_EQ(file_of(result)["num_missing_rows"], 2984);
  EXPECT_THAT(result_text(result), testing::HasSubstr("2984 rows are missing"));
}

TEST(RewardBench, UnknownSubsetCountsInNoSection) {
  const std::vector<ScoredEvalItem> rows = {pair_row("my-own", "0", "p", 0.0, 1.0),
                                            pair_row("donotanswer", "0", "q", 2.0, 1.0)};
  const RewardBenchResult result = reward_bench_result(rows, {.num_replicates = 0});
  ASSERT_EQ(result.sections.size(), 1u);
  EXPECT_EQ(result.sections[0].score.value, 1.0);
  EXPECT_EQ(file_of(result)["subsets"]["my-own"]["accuracy"], 0.0);
}

TEST(RewardBench, UnknownSubsetIsNamedWithTheNearestOne) {
  const std::vector<ScoredEvalItem> rows = {pair_row("hep-pyton", "0", "p", 0.0, 1.0),
                                            pair_row("donotanswer", "0", "q", 2.0, 1.0)};
  EXPECT_THAT(reward_bench_result(rows, {.num_replicates = 0}).warnings,
              testing::ElementsAre(testing::AllOf(testing::HasSubstr("'hep-pyton'"),
                                                  testing::HasSubstr("hep-python"))));
}

/// The golden rows, and prior sets of four rows each with the golden accuracies.
std::vector<ScoredEvalItem> rows_with_prior_sets(const nlohmann::json& json) {
  std::vector<ScoredEvalItem> rows = golden_rows(json["reward_bench"]["rows"]);
  for (const auto& [set, accuracy] : json["reward_bench"]["prior_sets"].items()) {
    for (int i = 0; i < 4; ++i) {
      const double margin = i < 4 * accuracy.get<double>() ? 1.0 : -1.0;
      rows.push_back(pair_row(set, std::to_string(i), set + std::to_string(i), margin, 0.0));
    }
  }
  return rows;
}

TEST(RewardBench, PriorSetsCountHalfAsOnTheLeaderboard) {
  const nlohmann::json json = golden();
  const RewardBenchResult result =
      reward_bench_result(rows_with_prior_sets(json), {.num_replicates = 30, .seed = 1});
  ASSERT_EQ(result.sections.size(), 5u);
  EXPECT_EQ(result.sections[4].name, "Prior Sets");
  EXPECT_NEAR(result.sections[4].score.value,
              json["reward_bench"]["expected_prior_sets"].get<double>(), 1e-12);
  ASSERT_TRUE(result.overall_with_prior_sets.has_value());
  EXPECT_NEAR(result.overall_with_prior_sets->value,
              json["reward_bench"]["expected_with_prior_sets"].get<double>(), 1e-12);
  EXPECT_LT(result.overall_with_prior_sets->ci95->lo, result.overall_with_prior_sets->ci95->hi);
  // The overall of the four sections is what it is without them.
  const RewardBenchResult without =
      reward_bench_result(golden_rows(json["reward_bench"]["rows"]), {.num_replicates = 0});
  EXPECT_EQ(result.overall->value, without.overall->value);
  EXPECT_FALSE(without.overall_with_prior_sets_partial.has_value());
  EXPECT_EQ(file_of(result)["sections"]["Prior Sets"]["weight"], 0.5);
}

TEST(RewardBench, MissingPriorSetsLeaveAPartialValueAlone) {
  const std::vector<ScoredEvalItem> rows = {pair_row("shp", "0", "p", 2.0, 1.0),
                                            pair_row("anthropic_harmless", "0", "q", 0.0, 1.0),
                                            pair_row("donotanswer", "0", "r", 0.0, 1.0)};
  const RewardBenchResult result = reward_bench_result(rows, {.num_replicates = 0});
  EXPECT_FALSE(result.overall_with_prior_sets.has_value());
  EXPECT_NEAR(result.overall_with_prior_sets_partial->value, 0.5 / 1.5, 1e-15);
  EXPECT_THAT(result.missing_prior_sets,
              testing::ElementsAre("anthropic_helpful", "anthropic_hhh", "summarize"));
  EXPECT_THAT(result.warnings, testing::IsEmpty());  // anthropic_harmless is known, and not counted
  EXPECT_EQ(file_of(result)["subsets"]["anthropic_harmless"]["section"], nullptr);
}

TEST(RewardBench, PriorSetsAloneAreAnAnswer) {
  const std::vector<ScoredEvalItem> rows = {pair_row("shp", "0", "p", 2.0, 1.0)};
  const RewardBenchResult result = reward_bench_result(rows, {.num_replicates = 5});
  EXPECT_TRUE(file_of(result)["overall_partial"].is_null());
  EXPECT_EQ(result.overall_with_prior_sets_partial->value, 1.0);
  EXPECT_THAT(result.incomplete, testing::IsEmpty());
}

TEST(RewardBench, PriorSetsAreToldByName) {
  EXPECT_EQ(prior_set("shp"), "shp");
  EXPECT_EQ(prior_set("summarize-00000-of-00002"), "summarize");
  EXPECT_EQ(prior_set("summarize_prompted"), "");
  EXPECT_EQ(prior_set("filtered"), "");
}

TEST(RewardBench, RowsOfAnotherBenchmarkAreRefused) {
  const std::vector<ScoredEvalItem> rows = {pair_row("Factuality", "0", "p", 0.0, 1.0)};
  EXPECT_ERROR(kInput, "belongs to a subset of RewardBench version 1",
               reward_bench_result(rows, {.num_replicates = 0}));
}

TEST(RewardBench, IntervalsHoldTheValueAndRepeatForASeed) {
  const std::vector<ScoredEvalItem> rows = golden_rows(golden()["reward_bench"]["rows"]);
  const RewardBenchResult a = reward_bench_result(rows, {.num_replicates = 1000, .seed = 5});
  const RewardBenchResult b = reward_bench_result(rows, {.num_replicates = 1000, .seed = 5});
  EXPECT_LT(a.overall->ci95->lo, a.overall->value);
  EXPECT_GT(a.overall->ci95->hi, a.overall->value);
  EXPECT_EQ(file_of(a), file_of(b));
}

TEST(RewardBenchFiles, HoldSubsetsAndScores) {
  const std::vector<ScoredEvalItem> rows = {pair_row("hep-cpp", "7", "p", 1.0, 1.0),
                                            pair_row("donotanswer", "x1", "q", 2.0, 1.0)};
  const nlohmann::json accuracies =
      reward_bench_accuracies(reward_bench_result(rows, {.num_replicates = 0}), {.name = "my-rm"});
  EXPECT_EQ(accuracies,
            nlohmann::json::parse(R"({"hep-cpp": 0.0, "donotanswer": 1.0, "model": "my-rm",
                                                  "model_type": "Seq. Classifier", "chat_template": "tokenizer"})"));
  const nlohmann::json scores = reward_bench_scores(rows, {.name = "my-rm"});
  EXPECT_EQ(scores["id"], nlohmann::json::parse(R"([7, "x1"])"));
  EXPECT_EQ(scores["results"], nlohmann::json::parse("[0, 1]"));
  EXPECT_EQ(scores["scores_chosen"], nlohmann::json::parse("[1.0, 2.0]"));
}

TEST(RewardBenchFiles, PriorSetsHaveFilesOfTheirOwn) {
  const std::vector<ScoredEvalItem> rows = {pair_row("hep-cpp", "7", "p", 1.0, 0.0),
                                            pair_row("shp", "8", "q", 0.0, 1.0)};
  const RewardBenchResult result = reward_bench_result(rows, {.num_replicates = 0});
  const RewardBenchModel model{.name = "org/rm", .chat_template = "tulu"};
  EXPECT_FALSE(reward_bench_accuracies(result, model).contains("shp"));
  const nlohmann::json prior = reward_bench_accuracies(result, model, /*prior_sets=*/true);
  EXPECT_EQ(prior, nlohmann::json::parse(
                       R"({"shp": 0.0, "model": "org/rm", "model_type": "Seq. Classifier",
                                             "chat_template": "tulu"})"));
  EXPECT_EQ(reward_bench_scores(rows, model)["id"], nlohmann::json::parse("[7]"));
  const fs::path folder =
      fs::path(testing::TempDir()) / ("charm_rb_files_" + std::to_string(::getpid()));
  write_reward_bench_files(folder, result, rows, model);
  for (const char* set : {"eval-set", "eval-set-scores", "pref-sets", "pref-sets-scores"}) {
    EXPECT_TRUE(fs::exists(folder / set / "org" / "rm.json")) << set;
  }
  fs::remove_all(folder);
}

}  // namespace
}  // namespace charm::evaluate
