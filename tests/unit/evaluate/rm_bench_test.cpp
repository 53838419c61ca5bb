#include "charm/evaluate/rm_bench.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "charm/base/files.h"
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
  const RmBenchResult result = rm_bench_result(golden_rows(json["rows"]), {.num_replicates = 0});
  ASSERT_TRUE(result.overall.has_value());
  EXPECT_NEAR(result.overall->score.value, json["expected"]["total_avg_acc"].get<double>(), 1e-12);
  EXPECT_NEAR(result.overall->hard.value, json["expected"]["hard_acc"].get<double>(), 1e-12);
  EXPECT_NEAR(result.overall->normal.value, json["expected"]["normal_acc"].get<double>(), 1e-12);
  EXPECT_NEAR(result.overall->easy.value, json["expected"]["easy_acc"].get<double>(), 1e-12);
  ASSERT_EQ(result.domains.size(), 4u);
  for (const RmBenchDomain& domain : result.domains) {
    EXPECT_NEAR(domain.score.value, json["expected"][domain.name].get<double>(), 1e-12)
        << domain.name;
    EXPECT_NEAR(domain.hard.value, json["expected_domains"][domain.name]["hard_acc"].get<double>(),
                1e-12);
    EXPECT_NEAR(domain.normal.value,
                json["expected_domains"][domain.name]["normal_acc"].get<double>(), 1e-12);
    EXPECT_NEAR(domain.easy.value, json["expected_domains"][domain.name]["easy_acc"].get<double>(),
                1e-12);
  }
}

TEST(RmBench, MatrixByHand) {
  // Chosen 1, 2, 3 against rejected 2, 0, 3: the tie of 2 with 2 and of 3 with 3 are wrong.
  const std::vector<ScoredEvalItem> rows = {style_row("chat", "0", "p", {1, 2, 3}, {2, 0, 3})};
  const RmBenchResult result = rm_bench_result(rows, {.num_replicates = 0});
  const RmBenchDomain& chat = result.domains[0];
  const std::array<std::array<double, 3>, 3> expected = {{{0, 1, 0}, {0, 1, 0}, {1, 1, 0}}};
  EXPECT_EQ(chat.matrix, expected);
  EXPECT_DOUBLE_EQ(chat.hard.value, 1.0 / 3);
  EXPECT_DOUBLE_EQ(chat.normal.value, 1.0 / 3);
  EXPECT_DOUBLE_EQ(chat.easy.value, 2.0 / 3);
  EXPECT_DOUBLE_EQ(chat.score.value, 4.0 / 9);
  EXPECT_EQ(chat.ties, 2);
  EXPECT_EQ(chat.num_comparisons, 9);
}

TEST(RmBench, SafetyIsPooledOverRowsNotFiles) {
  const std::vector<double> high = {9, 9, 9}, low = {0, 0, 0};
  const std::vector<ScoredEvalItem> rows = {style_row("safety-refuse", "0", "p", high, low),
                                            style_row("safety-refuse", "1", "q", high, low),
                                            style_row("safety-refuse", "2", "r", high, low),
                                            style_row("safety-response", "3", "s", low, high)};
  const RmBenchResult result = rm_bench_result(rows, {.num_replicates = 0});
  ASSERT_EQ(result.domains.size(), 1u);
  EXPECT_DOUBLE_EQ(result.domains[0].score.value, 0.75);
  ASSERT_EQ(result.subsets.size(), 2u);
  EXPECT_EQ(result.subsets[1].score.value, 0.0);
}

TEST(RmBench, OverallIsAbsentWhileADomainIsMissing) {
  const std::vector<ScoredEvalItem> rows = {style_row("chat", "0", "p", {9, 9, 9}, {0, 0, 0}),
                                            style_row("code", "0", "q", {0, 0, 0}, {9, 9, 9})};
  const nlohmann::ordered_json json =
      file_of(rm_bench_result(rows, {.num_replicates = 20, .seed = 1}));
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
