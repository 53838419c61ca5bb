#include "charm/evaluate/reward_bench_2.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/evaluate/reward_bench_files.h"
#include "charm/evaluate/row_benchmark.h"
#include "charm/evaluate/ties_subset.h"
#include "tests/support/expect_error.h"
#include "tests/support/source_dir.h"
#include "tests/unit/evaluate/eval_rows.h"

namespace charm::evaluate {
namespace {

nlohmann::json golden() {
  return nlohmann::json::parse(read_file(
      charm::test::kSourceDir + std::string("/tests/data/golden/eval/reward_bench_2.json")));
}

std::vector<ScoredEvalItem> golden_rows(const nlohmann::json& rows) {
  std::vector<ScoredEvalItem> parsed;
  for (const auto& row : rows) {
    const std::string id = row["id"];
    parsed.push_back(list_row(row["subset"], id, row["subset"].get<std::string>() + id,
                              row["score_chosen"], row["score_rejected"]));
  }
  return parsed;
}

TEST(RewardBench2, EqualsTheBenchmarksOwnCounting) {
  const nlohmann::json json = golden();
  for (const char* name : {"all", "flat", "unpaired"}) {
    const nlohmann::json& expected = json[name]["expected"];
    const std::vector<ScoredEvalItem> rows = golden_rows(json[name]["rows"]);
    const results::Evaluation result =
        benchmark_result(Benchmark::kRewardBench2, rows, {.num_replicates = 0});
    ASSERT_EQ(result.subsets.size(), expected["subsets"].size()) << name;
    double sum = 0.0;
    for (const results::BenchmarkPart& subset : result.subsets) {
      EXPECT_NEAR(value(subset.metrics, "accuracy"), expected["subsets"][subset.name].get<double>(),
                  json["tolerance"].get<double>())
          << name << ", " << subset.name;
      sum += value(subset.metrics, "accuracy");
    }
    EXPECT_NEAR(value(result.overall, "overall_partial"),
                sum / static_cast<double>(result.subsets.size()), 1e-15);
    for (std::size_t r = 0; r < rows.size(); ++r) {
      EXPECT_EQ(best_of_n_result(rows[r]), expected["results"][r].get<double>()) << name << r;
    }
  }
}

TEST(RewardBench2, OverallNeedsAllSixSubsets) {
  std::vector<ScoredEvalItem> rows = golden_rows(golden()["all"]["rows"]);
  EXPECT_TRUE(benchmark_result(Benchmark::kRewardBench2, rows, {.num_replicates = 0})
                  .overall.find("overall"));
  std::erase_if(rows, [](const auto& row) { return row.item.subset == "Ties"; });
  const results::Evaluation result =
      benchmark_result(Benchmark::kRewardBench2, rows, {.num_replicates = 0});
  EXPECT_FALSE(result.overall.find("overall"));
  EXPECT_FALSE(results::numbers_json(result).contains("ties_subset"));
  EXPECT_THAT(*result.incomplete, testing::Contains(testing::AllOf(
                                      testing::Field(&results::MissingRows::subset, "Ties"),
                                      testing::Field(&results::MissingRows::expected_rows, 102))));
}

TEST(RewardBench2, SharedBestScoresAreSplitAndCounted) {
  const std::vector<ScoredEvalItem> rows = {list_row("Math", "0", "p", {2}, {2, 2, 0}),
                                            list_row("Math", "1", "q", {1}, {0, 0, 0}),
                                            list_row("Math", "2", "r", {0}, {1, 1, 0})};
  const results::Evaluation result =
      benchmark_result(Benchmark::kRewardBench2, rows, {.num_replicates = 0});
  EXPECT_DOUBLE_EQ(value(result.subsets[0].metrics, "accuracy"), (1.0 / 3 + 1.0) / 3);
  EXPECT_DOUBLE_EQ(value(result.subsets[0].metrics, "num_correct"), 4.0 / 3);
  EXPECT_EQ(value(result.overall, "ties"), 1);
}

TEST(RewardBench2, TermsOfTheTiesSubset) {
  // Margins 1 (ref) and 2 (tied), spread 1.5: preferred, not strongly.
  const std::vector<ScoredEvalItem> rows = {list_row("Ties", "ref:7", "p", {2}, {1}),
                                            list_row("Ties", "tied:7", "q", {4.5, 3}, {1, 0})};
  const results::Metrics terms =
      benchmark_result(Benchmark::kRewardBench2, rows, {.num_replicates = 0}).ties_subset;
  EXPECT_EQ(value(terms, "ref_accuracy"), 1.0);
  EXPECT_EQ(value(terms, "tied_accuracy"), 1.0);
  EXPECT_EQ(value(terms, "preferred"), 1.0);
  EXPECT_EQ(value(terms, "preferred_hard"), 0.0);
  EXPECT_DOUBLE_EQ(value(terms, "margin_score"), std::tanh(1.0 / 1.5 - 1.0));
  EXPECT_DOUBLE_EQ(value(terms, "score"), 0.3 + 0.3 + 0.2 + 0.01 * std::tanh(1.0 / 1.5 - 1.0));
  EXPECT_EQ(value(terms, "num_questions"), 1);
}

TEST(RewardBench2, BothFormsOfAQuestionAreDrawnTogether) {
  const std::vector<ScoredEvalItem> rows = golden_rows(golden()["all"]["rows"]);
  const MetricSet metric_set = reward_bench_2_metrics(rows);
  for (std::size_t r = 0; r < rows.size(); ++r) {
    if (rows[r].item.id == "ref:3" || rows[r].item.id == "tied:3") {
      EXPECT_EQ(metric_set.prompts[r], "ties:3");
    }
  }
  const results::Evaluation result =
      benchmark_result(Benchmark::kRewardBench2, rows, {.num_replicates = 200, .seed = 3});
  EXPECT_LT(interval(result.overall, "overall").lo, value(result.overall, "overall"));
  EXPECT_GT(interval(result.overall, "overall").hi, value(result.overall, "overall"));
  const results::Interval hard = interval(result.ties_subset, "preferred_hard");
  EXPECT_LT(hard.lo, hard.hi);
  EXPECT_EQ(results::numbers_json(result),
            results::numbers_json(benchmark_result(Benchmark::kRewardBench2, rows,
                                                   {.num_replicates = 200, .seed = 3})));
}

TEST(RewardBench2, IdsOfTies) {
  EXPECT_TRUE(parse_ties_id("tied:12")->is_tied);
  EXPECT_EQ(parse_ties_id("ref:0")->number, 0);
  for (const char* bad : {"ref", "ref:", "ref:x", "other:1", "ref:1:2", "12", "ref:1 "}) {
    EXPECT_FALSE(parse_ties_id(bad).has_value()) << bad;
  }
}

TEST(RewardBench2, WarnsOfWhatCountsOtherwise) {
  const std::vector<ScoredEvalItem> rows = {
      list_row("Fokus", "0", "p", {1}, {0}), list_row("Math", "0", "q", {1, 2}, {0}),
      list_row("ties", "ref:1", "r", {1}, {0}), list_row("ties", "tied:2", "s", {1}, {0})};
  const results::Evaluation result =
      benchmark_result(Benchmark::kRewardBench2, rows, {.num_replicates = 0});
  EXPECT_THAT(*result.warnings,
              testing::UnorderedElementsAre(
                  testing::AllOf(testing::HasSubstr("'Fokus'"), testing::HasSubstr("Focus")),
                  testing::HasSubstr("several chosen texts"),
                  testing::HasSubstr("2 rows lack the other row")));
  EXPECT_EQ(result.subsets[1].name, "Ties");  // whatever its case
}

TEST(RewardBench2, RefusesOtherRowsAndRepeatedQuestions) {
  const std::vector<ScoredEvalItem> other = {list_row("hep-go", "0", "p", {1}, {0})};
  EXPECT_ERROR(kInput, "belongs to a subset of RewardBench 2",
               benchmark_result(Benchmark::kRewardBench2, other, {.num_replicates = 0}));
  const std::vector<ScoredEvalItem> twice = {list_row("Ties", "ref:1", "p", {1}, {0}),
                                             list_row("Ties", "ref:1", "q", {1}, {0})};
  EXPECT_ERROR(kInput, "two rows 'ref:1'",
               benchmark_result(Benchmark::kRewardBench2, twice, {.num_replicates = 0}));
}

TEST(RewardBench2Files, HoldSubsetsAndScores) {
  const std::vector<ScoredEvalItem> rows = {list_row("Math", "3", "p", {2}, {2, 0, 1}),
                                            list_row("Ties", "ref:0", "q", {2}, {1})};
  const RewardBenchModel model{.name = "my-rm"};
  const nlohmann::json accuracies = reward_bench_accuracies(
      benchmark_result(Benchmark::kRewardBench2, rows, {.num_replicates = 0}), model);
  EXPECT_EQ(accuracies["Math"], 0.5);
  EXPECT_EQ(accuracies["Ties"], 0.3);
  EXPECT_EQ(accuracies["model_type"], "Seq. Classifier");
  const nlohmann::json scores = reward_bench_2_scores(rows, model);
  EXPECT_EQ(scores["id"], nlohmann::json::parse(R"(["3", "ref:0"])"));
  EXPECT_EQ(scores["scores"], nlohmann::json::parse("[[2.0, 2.0, 0.0, 1.0], [2.0, 1.0]]"));
  EXPECT_EQ(scores["results"], nlohmann::json::parse("[0.5, 1.0]"));
  EXPECT_EQ(scores["num_correct"], nlohmann::json::parse("[1, 1]"));
}

}  // namespace
}  // namespace charm::evaluate
