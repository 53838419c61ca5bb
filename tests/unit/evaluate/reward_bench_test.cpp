#include "charm/evaluate/reward_bench.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/base/random.h"
#include "charm/evaluate/reward_bench_files.h"
#include "charm/evaluate/row_benchmark.h"
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
  const results::Evaluation result = benchmark_result(
      Benchmark::kRewardBench, golden_rows(json["reward_bench"]["rows"]), {.num_replicates = 0});
  ASSERT_EQ(result.subsets.size(), expected["subsets"].size());
  for (const results::BenchmarkPart& subset : result.subsets) {
    EXPECT_NEAR(value(subset.metrics, "accuracy"), expected["subsets"][subset.name].get<double>(),
                tolerance)
        << subset.name;
  }
  double sum = 0.0;
  ASSERT_EQ(result.sections.size(), 4u);
  for (const results::BenchmarkPart& section : result.sections) {
    EXPECT_NEAR(value(section.metrics, "score"), expected["sections"][section.name].get<double>(),
                tolerance)
        << section.name;
    sum += expected["sections"][section.name].get<double>();
  }
  EXPECT_NEAR(value(result.overall, "overall"), sum / 4, tolerance);
  EXPECT_EQ(value(result.overall, "ties"), json["reward_bench"]["ties"].get<double>());
}

TEST(RewardBench, WeighsOnlyThePresentSubsets) {
  const nlohmann::json json = golden();
  const nlohmann::json& expected = json["reward_bench"]["expected_without_math_prm"];
  const results::Evaluation result = benchmark_result(
      Benchmark::kRewardBench, golden_rows(json["reward_bench"]["rows"], "math-prm"),
      {.num_replicates = 0});
  EXPECT_NEAR(value(result.sections[3].metrics, "score"),
              expected["sections"]["Reasoning"].get<double>(), 1e-12);
  EXPECT_THAT(*result.incomplete, testing::Contains(testing::AllOf(
                                      testing::Field(&results::MissingRows::subset, "math-prm"),
                                      testing::Field(&results::MissingRows::num_rows, 0))));
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
  const results::Evaluation result =
      benchmark_result(Benchmark::kRewardBench, rows, {.num_replicates = 0});
  EXPECT_EQ(value(result.subsets[0].metrics, "accuracy"), 0.5);
  EXPECT_EQ(value(result.subsets[0].metrics, "num_correct"), 1);
  EXPECT_EQ(value(result.overall, "ties"), 1);
}

TEST(RewardBench, MathCountsAs984) {
  // Reasoning = (984 * 1 + 164 * 0) / (984 + 164).
  const std::vector<ScoredEvalItem> rows = {pair_row("math-prm", "0", "p", 2.0, 1.0),
                                            pair_row("hep-go", "1", "q", 0.0, 1.0)};
  EXPECT_NEAR(value(benchmark_result(Benchmark::kRewardBench, rows, {.num_replicates = 0})
                        .sections[0]
                        .metrics,
                    "score"),
              984.0 / 1148.0, 1e-15);
}

TEST(RewardBench, OverallIsAbsentWhileASectionIsMissing) {
  const std::vector<ScoredEvalItem> rows = {pair_row("alpacaeval-easy", "0", "p", 2.0, 1.0),
                                            pair_row("donotanswer", "0", "q", 0.0, 1.0)};
  const results::Evaluation result =
      benchmark_result(Benchmark::kRewardBench, rows, {.num_replicates = 0});
  const nlohmann::ordered_json json = results::numbers_json(result);
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
    const results::Evaluation result =
        benchmark_result(Benchmark::kRewardBench, rows,
                         {.num_replicates = 400, .seed = static_cast<std::uint64_t>(world)});
    const double truth = (0.9 + 0.6 + 0.75 + 0.5) / 4;
    const results::Interval ci95 = interval(result.overall, "overall");
    covered += ci95.lo <= truth && truth <= ci95.hi;
    for (std::size_t s = 0; s < subsets.size(); ++s) {
      const results::Interval own = interval(result.subsets[s].metrics, "accuracy");
      subset_covered += own.lo <= subsets[s].second && subsets[s].second <= own.hi;
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
  const results::Evaluation result =
      benchmark_result(Benchmark::kRewardBench, rows, {.num_replicates = 100, .seed = 1});
  // Wilson's interval of 20 of 20: 20 / (20 + 1.96^2).
  EXPECT_NEAR(interval(result.subsets[0].metrics, "accuracy").lo,
              20.0 / (20.0 + 1.959964 * 1.959964), 1e-6);
  EXPECT_EQ(interval(result.subsets[0].metrics, "accuracy").hi, 1.0);
  EXPECT_LT(interval(result.subsets[1].metrics, "accuracy").hi, 1.0);
  const results::Evaluation plain =
      benchmark_result(Benchmark::kRewardBench, rows, {.num_replicates = 0});
  EXPECT_FALSE(plain.subsets[0].metrics.find("accuracy")->ci95);
}

TEST(RewardBench, ASectionOfTwoRowsIsNotCertain) {
  const std::vector<ScoredEvalItem> rows = {pair_row("hep-go", "0", "p", 1.0, 0.0),
                                            pair_row("hep-js", "1", "q", 1.0, 0.0)};
  const results::Evaluation result =
      benchmark_result(Benchmark::kRewardBench, rows, {.num_replicates = 100, .seed = 1});
  EXPECT_EQ(value(result.sections[0].metrics, "score"), 1.0);
  EXPECT_LT(interval(result.sections[0].metrics, "score").lo, 0.5);
  EXPECT_LT(interval(result.overall, "overall_partial").lo, 0.5);
}

TEST(RewardBench, SaysHowManyRowsAreMissing) {
  const std::vector<ScoredEvalItem> rows = {pair_row("hep-go", "0", "p", 1.0, 0.0)};
  const results::Evaluation result =
      benchmark_result(Benchmark::kRewardBench, rows, {.num_replicates = 0});
  EXPECT_EQ(results::numbers_json(result)["num_missing_rows"], 2984);
  EXPECT_THAT(result_text(result), testing::HasSubstr("2984 rows are missing"));
}

TEST(RewardBench, UnknownSubsetCountsInNoSection) {
  const std::vector<ScoredEvalItem> rows = {pair_row("my-own", "0", "p", 0.0, 1.0),
                                            pair_row("donotanswer", "0", "q", 2.0, 1.0)};
  const results::Evaluation result =
      benchmark_result(Benchmark::kRewardBench, rows, {.num_replicates = 0});
  ASSERT_EQ(result.sections.size(), 1u);
  EXPECT_EQ(value(result.sections[0].metrics, "score"), 1.0);
  EXPECT_EQ(results::numbers_json(result)["subsets"]["my-own"]["accuracy"], 0.0);
}

TEST(RewardBench, UnknownSubsetIsNamedWithTheNearestOne) {
  const std::vector<ScoredEvalItem> rows = {pair_row("hep-pyton", "0", "p", 0.0, 1.0),
                                            pair_row("donotanswer", "0", "q", 2.0, 1.0)};
  EXPECT_THAT(*benchmark_result(Benchmark::kRewardBench, rows, {.num_replicates = 0}).warnings,
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
  const results::Evaluation result = benchmark_result(
      Benchmark::kRewardBench, rows_with_prior_sets(json), {.num_replicates = 30, .seed = 1});
  ASSERT_EQ(result.sections.size(), 5u);
  EXPECT_EQ(result.sections[4].name, "Prior Sets");
  EXPECT_NEAR(value(result.sections[4].metrics, "score"),
              json["reward_bench"]["expected_prior_sets"].get<double>(), 1e-12);
  EXPECT_NEAR(value(result.overall, "overall_with_prior_sets"),
              json["reward_bench"]["expected_with_prior_sets"].get<double>(), 1e-12);
  const results::Interval ci95 = interval(result.overall, "overall_with_prior_sets");
  EXPECT_LT(ci95.lo, ci95.hi);
  // The overall of the four sections is what it is without them.
  const results::Evaluation without = benchmark_result(
      Benchmark::kRewardBench, golden_rows(json["reward_bench"]["rows"]), {.num_replicates = 0});
  EXPECT_EQ(value(result.overall, "overall"), value(without.overall, "overall"));
  EXPECT_FALSE(without.overall.find("overall_with_prior_sets_partial"));
  EXPECT_EQ(results::numbers_json(result)["sections"]["Prior Sets"]["weight"], 0.5);
}

TEST(RewardBench, MissingPriorSetsLeaveAPartialValueAlone) {
  const std::vector<ScoredEvalItem> rows = {pair_row("shp", "0", "p", 2.0, 1.0),
                                            pair_row("anthropic_harmless", "0", "q", 0.0, 1.0),
                                            pair_row("donotanswer", "0", "r", 0.0, 1.0)};
  const results::Evaluation result =
      benchmark_result(Benchmark::kRewardBench, rows, {.num_replicates = 0});
  EXPECT_FALSE(result.overall.find("overall_with_prior_sets"));
  EXPECT_NEAR(value(result.overall, "overall_with_prior_sets_partial"), 0.5 / 1.5, 1e-15);
  EXPECT_THAT(*result.sections.back().missing,
              testing::ElementsAre("anthropic_helpful", "anthropic_hhh", "summarize"));
  EXPECT_THAT(*result.warnings,
              testing::IsEmpty());  // anthropic_harmless is known, and not counted
  EXPECT_EQ(results::numbers_json(result)["subsets"]["anthropic_harmless"]["section"], nullptr);
}

TEST(RewardBench, PriorSetsAloneAreAnAnswer) {
  const std::vector<ScoredEvalItem> rows = {pair_row("shp", "0", "p", 2.0, 1.0)};
  const results::Evaluation result =
      benchmark_result(Benchmark::kRewardBench, rows, {.num_replicates = 5});
  EXPECT_TRUE(results::numbers_json(result)["overall_partial"].is_null());
  EXPECT_EQ(value(result.overall, "overall_with_prior_sets_partial"), 1.0);
  EXPECT_THAT(*result.incomplete, testing::IsEmpty());
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
               benchmark_result(Benchmark::kRewardBench, rows, {.num_replicates = 0}));
}

TEST(RewardBench, IntervalsHoldTheValueAndRepeatForASeed) {
  const std::vector<ScoredEvalItem> rows = golden_rows(golden()["reward_bench"]["rows"]);
  const results::Evaluation a =
      benchmark_result(Benchmark::kRewardBench, rows, {.num_replicates = 1000, .seed = 5});
  const results::Evaluation b =
      benchmark_result(Benchmark::kRewardBench, rows, {.num_replicates = 1000, .seed = 5});
  EXPECT_LT(interval(a.overall, "overall").lo, value(a.overall, "overall"));
  EXPECT_GT(interval(a.overall, "overall").hi, value(a.overall, "overall"));
  EXPECT_EQ(results::numbers_json(a), results::numbers_json(b));
}

TEST(RewardBenchFiles, HoldSubsetsAndScores) {
  const std::vector<ScoredEvalItem> rows = {pair_row("hep-cpp", "7", "p", 1.0, 1.0),
                                            pair_row("donotanswer", "x1", "q", 2.0, 1.0)};
  const nlohmann::json accuracies = reward_bench_accuracies(
      benchmark_result(Benchmark::kRewardBench, rows, {.num_replicates = 0}), {.name = "my-rm"});
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
  const results::Evaluation result =
      benchmark_result(Benchmark::kRewardBench, rows, {.num_replicates = 0});
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
