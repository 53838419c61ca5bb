#include "charm/evaluate/rm_bench.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "charm/base/files.h"
#include "charm/evaluate/row_benchmark.h"
#include "tests/support/source_dir.h"
#include "tests/unit/evaluate/eval_rows.h"

namespace charm::evaluate {
namespace {

nlohmann::json golden() {
  return nlohmann::json::parse(
      read_file(charm::test::kSourceDir +
                std::string("/tests/data/golden/eval/benchmarks.json")))["rm_bench"];
}

std::vector<ScoredEvalItem> golden_rows(const nlohmann::json& rows) {
  std::vector<ScoredEvalItem> parsed;
  for (const auto& row : rows) {
    parsed.push_back(style_row(row["domain"], row["id"], row["prompt"],
                               row["score_chosen"].get<std::vector<double>>(),
                               row["score_rejected"].get<std::vector<double>>()));
  }
  return parsed;
}

TEST(RmBench, EqualsTheBenchmarksOwnCounting) {
  const nlohmann::json json = golden();
  const results::Evaluation result =
      benchmark_result(Benchmark::kRmBench, golden_rows(json["rows"]), {.num_replicates = 0});
  EXPECT_NEAR(value(result.overall, "overall"), json["expected"]["total_avg_acc"].get<double>(),
              1e-12);
  EXPECT_NEAR(value(result.overall, "hard"), json["expected"]["hard_acc"].get<double>(), 1e-12);
  EXPECT_NEAR(value(result.overall, "normal"), json["expected"]["normal_acc"].get<double>(), 1e-12);
  EXPECT_NEAR(value(result.overall, "easy"), json["expected"]["easy_acc"].get<double>(), 1e-12);
  ASSERT_EQ(result.sections.size(), 4u);
  for (const results::BenchmarkPart& domain : result.sections) {
    EXPECT_NEAR(value(domain.metrics, "score"), json["expected"][domain.name].get<double>(), 1e-12)
        << domain.name;
    EXPECT_NEAR(value(domain.metrics, "hard"),
                json["expected_domains"][domain.name]["hard_acc"].get<double>(), 1e-12);
    EXPECT_NEAR(value(domain.metrics, "normal"),
                json["expected_domains"][domain.name]["normal_acc"].get<double>(), 1e-12);
    EXPECT_NEAR(value(domain.metrics, "easy"),
                json["expected_domains"][domain.name]["easy_acc"].get<double>(), 1e-12);
  }
}

TEST(RmBench, MatrixByHand) {
  // Chosen 1, 2, 3 against rejected 2, 0, 3: the tie of 2 with 2 and of 3 with 3 are wrong.
  const std::vector<ScoredEvalItem> rows = {style_row("chat", "0", "p", {1, 2, 3}, {2, 0, 3})};
  const results::Evaluation result =
      benchmark_result(Benchmark::kRmBench, rows, {.num_replicates = 0});
  const results::BenchmarkPart& chat = result.sections[0];
  const std::vector<std::vector<double>> expected = {{0, 1, 0}, {0, 1, 0}, {1, 1, 0}};
  EXPECT_EQ(chat.matrix, expected);
  EXPECT_DOUBLE_EQ(value(chat.metrics, "hard"), 1.0 / 3);
  EXPECT_DOUBLE_EQ(value(chat.metrics, "normal"), 1.0 / 3);
  EXPECT_DOUBLE_EQ(value(chat.metrics, "easy"), 2.0 / 3);
  EXPECT_DOUBLE_EQ(value(chat.metrics, "score"), 4.0 / 9);
  EXPECT_EQ(value(chat.metrics, "ties"), 2);
  EXPECT_EQ(value(chat.metrics, "num_comparisons"), 9);
}

TEST(RmBench, SafetyIsPooledOverRowsNotFiles) {
  const std::vector<double> high = {9, 9, 9}, low = {0, 0, 0};
  const std::vector<ScoredEvalItem> rows = {style_row("safety-refuse", "0", "p", high, low),
                                            style_row("safety-refuse", "1", "q", high, low),
                                            style_row("safety-refuse", "2", "r", high, low),
                                            style_row("safety-response", "3", "s", low, high)};
  const results::Evaluation result =
      benchmark_result(Benchmark::kRmBench, rows, {.num_replicates = 0});
  ASSERT_EQ(result.sections.size(), 1u);
  EXPECT_DOUBLE_EQ(value(result.sections[0].metrics, "score"), 0.75);
  ASSERT_EQ(result.subsets.size(), 2u);
  EXPECT_EQ(value(result.subsets[1].metrics, "score"), 0.0);
}

TEST(RmBench, OverallIsAbsentWhileADomainIsMissing) {
  const std::vector<ScoredEvalItem> rows = {style_row("chat", "0", "p", {9, 9, 9}, {0, 0, 0}),
                                            style_row("code", "0", "q", {0, 0, 0}, {9, 9, 9})};
  const nlohmann::ordered_json json = results::numbers_json(
      benchmark_result(Benchmark::kRmBench, rows, {.num_replicates = 20, .seed = 1}));
  EXPECT_FALSE(json.contains("overall"));
  EXPECT_EQ(json["overall_partial"], 0.5);
  EXPECT_EQ(json["missing_domains"], nlohmann::ordered_json({"math", "safety"}));
}

TEST(RmBench, DomainsAreTheBeginningOfAName) {
  EXPECT_EQ(rm_bench_domain("safety-refuse"), "safety");
  EXPECT_EQ(rm_bench_domain("math"), "math");
  EXPECT_EQ(rm_bench_domain("biology"), "");
}

}  // namespace
}  // namespace charm::evaluate
