#include "charm/evaluate/pair_diagnostics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "charm/base/files.h"
#include "charm/evaluate/row_benchmark.h"
#include "tests/support/source_dir.h"
#include "tests/unit/evaluate/eval_rows.h"

namespace charm::evaluate {
namespace {

nlohmann::json golden() {
  return nlohmann::json::parse(
      read_file(charm::test::kSourceDir + std::string("/tests/data/golden/eval/statistics.json")));
}

results::PairNumbers diagnose(std::span<const ScoredEvalItem> rows, std::int64_t num_replicates = 0,
                              Benchmark benchmark = Benchmark::kRewardBench) {
  return pair_diagnostics(rows, benchmark_metrics(benchmark, rows),
                          {.num_replicates = num_replicates, .seed = 1});
}

TEST(PairDiagnostics, ProbabilitiesEqualTheirFormulas) {
  const nlohmann::json json = golden()["pair_probabilities"], expected = json["expected"];
  std::vector<ScoredEvalItem> rows;
  for (const auto& margin : json["margins"]) {
    const std::string id = std::to_string(rows.size());
    rows.push_back(pair_row("hep-go", id, id, margin.get<double>() + 3.0, 3.0));
    rows.back().score_chosen[0] = margin.get<double>();
    rows.back().score_rejected[0] = 0.0;
  }
  const results::PairNumbers result = diagnose(rows, 200);
  EXPECT_NEAR(value(result.probabilities, "ece"), expected["ece"].get<double>(), 1e-12);
  EXPECT_NEAR(value(result.probabilities, "brier"), expected["brier"].get<double>(), 1e-12);
  EXPECT_NEAR(value(result.probabilities, "log_loss"), expected["log_loss"].get<double>(), 1e-12);
  EXPECT_LT(interval(result.probabilities, "brier").lo, value(result.probabilities, "brier"));
  EXPECT_EQ(value(result.probabilities, "num_pairs"), static_cast<double>(rows.size()));
  ASSERT_EQ(result.bins.size(), expected["bin_counts"].size());
  for (std::size_t k = 0; k < result.bins.size(); ++k) {
    EXPECT_EQ(value(result.bins[k], "num_pairs"), expected["bin_counts"][k].get<double>()) << k;
  }
  // Margins from -30 to 35: bins of 2, from [-30, -28) to [34, 36).
  EXPECT_EQ(result.bin_width, 2.0);
  EXPECT_EQ(result.edges.front(), -30.0);
  EXPECT_EQ(result.counts.size(), 33u);
  EXPECT_EQ(std::accumulate(result.counts.begin(), result.counts.end(), 0),
            static_cast<int>(rows.size()));
  EXPECT_EQ(result.counts.front(), 1);
  EXPECT_EQ(result.counts.back(), 1);
}

TEST(PairDiagnostics, LengthCorrelationEqualsScipy) {
  const nlohmann::json expected = golden()["length"];
  std::vector<ScoredEvalItem> rows;
  for (std::size_t i = 0; i < expected["scores"].size(); i += 2) {
    ScoredEvalItem row = pair_row("hep-go", std::to_string(i), std::to_string(i),
                                  expected["scores"][i], expected["scores"][i + 1]);
    // Two-byte letters: the length counts code points. Lengths are shifted above 0.
    const auto text = [&](std::size_t k) {
      std::string letters;
      for (double n = expected["lengths"][k].get<double>() + 100.0; n > 0.0; n -= 1.0)
        letters += "\xC3\xA9";
      return letters;
    };
    row.item.chosen = {text(i)};
    row.item.rejected = {text(i + 1)};
    rows.push_back(std::move(row));
  }
  const results::Metrics result = diagnose(rows).length;
  EXPECT_EQ(value(result, "num_responses"), 60);
  EXPECT_NEAR(value(result, "spearman"), expected["spearman"].get<double>(), 1e-12);
  EXPECT_NEAR(value(result, "pearson"), expected["pearson"].get<double>(), 1e-12);
}

TEST(PairDiagnostics, LongerTextsAreCounted) {
  std::vector<ScoredEvalItem> rows = {pair_row("hep-go", "0", "p", 2, 1),
                                      pair_row("hep-go", "1", "q", 1, 2),
                                      pair_row("hep-js", "2", "r", 1, 1)};
  rows[0].item.chosen = {"long text"};           // longer, chosen, preferred
  rows[1].item.chosen = {"long text"};           // longer, chosen, not preferred
  rows[2].item.rejected = {"a very long text"};  // longer, rejected, a tie
  const results::PairNumbers result = diagnose(rows);
  EXPECT_DOUBLE_EQ(value(result.length, "longer_chosen"), 2.0 / 3);
  EXPECT_DOUBLE_EQ(value(result.length, "longer_preferred"), 1.5 / 3);
  ASSERT_EQ(result.probabilities_of_subsets.size(), 2u);
  EXPECT_EQ(result.length_of_subsets[1].name, "hep-js");
  EXPECT_DOUBLE_EQ(value(result.probabilities_of_subsets[1].metrics, "log_loss"), std::log(2.0));
  EXPECT_DOUBLE_EQ(value(result.probabilities_of_subsets[1].metrics, "ece"),
                   0.0);  // a tie is right by half
}

TEST(PairDiagnostics, EveryPairOfARowCounts) {
  const std::vector<ScoredEvalItem> lists = {list_row("Math", "0", "p", {1}, {0, 0, 0})};
  EXPECT_EQ(value(diagnose(lists, 0, Benchmark::kRewardBench2).probabilities, "num_pairs"), 3);
  const std::vector<ScoredEvalItem> styles = {style_row("chat", "0", "p", {1, 1, 1}, {0, 0, 1})};
  const results::Metrics values = diagnose(styles, 0, Benchmark::kRmBench).probabilities;
  EXPECT_EQ(value(values, "num_pairs"), 9);
  EXPECT_EQ(value(values, "ties"), 3);
}

TEST(PairDiagnostics, ExtremeScoresStayNumbers) {
  const std::vector<ScoredEvalItem> rows = {pair_row("hep-go", "0", "p", -1e308, 1e308),
                                            pair_row("hep-go", "1", "q", 800, 0)};
  const results::PairNumbers numbers = diagnose(rows);
  EXPECT_TRUE(numbers.probabilities.find("log_loss"));
  EXPECT_EQ(numbers.length.find("longer_chosen")->value, 1.0);  // "good" is longer than "bad"
  const std::vector<ScoredEvalItem> equal = {pair_row("hep-go", "0", "p", 1, 1),
                                             pair_row("hep-go", "1", "q", 1e-320, 0)};
  EXPECT_EQ(diagnose(equal).edges, (std::vector<double>{0.0, 1.0}));
}

}  // namespace
}  // namespace charm::evaluate
