// What the benchmarks write of a result is what later stages read (results/).

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "charm/evaluate/arena.h"
#include "charm/evaluate/compare.h"
#include "charm/evaluate/pair_diagnostics.h"
#include "charm/evaluate/row_benchmark.h"
#include "charm/records/score.h"
#include "charm/results/comparison.h"
#include "charm/results/evaluation.h"
#include "tests/unit/evaluate/eval_rows.h"

namespace charm::evaluate {
namespace {

using Json = nlohmann::ordered_json;

constexpr BootstrapOptions kBootstrap{.num_replicates = 50, .seed = 1};

// What is read is written again as it was: no member of the file is lost.
results::Evaluation read_back(const results::Evaluation& evaluation) {
  const Json json = results::to_json(evaluation);
  const results::Evaluation read =
      results::read_evaluation(Json::parse(json.dump(2)), "result.json");
  EXPECT_EQ(results::to_json(read).dump(2), json.dump(2));
  return read;
}

void expect_equal(const std::optional<Estimate>& read, const Estimate& written) {
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->value, written.value);
  ASSERT_EQ(read->ci95.has_value(), written.ci95.has_value());
  if (!read->ci95) return;
  EXPECT_EQ(read->ci95->lo, written.ci95->lo);
  EXPECT_EQ(read->ci95->hi, written.ci95->hi);
}

// Every third row is wrong.
std::vector<ScoredEvalItem> pair_rows(int shift = 0) {
  std::vector<ScoredEvalItem> rows;
  for (const char* subset : {"alpacaeval-easy", "mt-bench-hard", "donotanswer", "hep-go"}) {
    for (int i = 0; i < 9; ++i) {
      const double score = (i + shift) % 3 == 0 ? -1.0 : 0.5;
      rows.push_back(pair_row(subset, std::to_string(i), subset + std::to_string(i), score, 0.0));
    }
  }
  return rows;
}

TEST(ResultFiles, RewardBenchIsReadAsItWasWritten) {
  const results::Evaluation read =
      read_back(benchmark_result(Benchmark::kRewardBench, pair_rows(), kBootstrap));
  EXPECT_TRUE(read.overall.find("overall"));
  EXPECT_TRUE(read.section("Chat").find("score")->ci95);
  EXPECT_FALSE(read.incomplete->empty());
}

TEST(ResultFiles, DiagnosticsSamplingAndUndefinedNumbersAreKept) {
  const std::vector<ScoredEvalItem> rows = pair_rows();
  results::Evaluation evaluation = benchmark_result(Benchmark::kRewardBench, rows, kBootstrap);
  evaluation.pairs =
      pair_diagnostics(rows, benchmark_metrics(Benchmark::kRewardBench, rows), kBootstrap);
  evaluation.model = "rm";
  evaluation.sampling = {.limit_per_subset = 9, .seed = 1};
  evaluation.num_bad_rows = 2;
  evaluation.holdout = 0.25;
  evaluation.bootstrap = {.draws = 50, .seed = 1};
  evaluation.overall.add("undefined", std::nullopt);
  const results::Evaluation read = read_back(evaluation);
  EXPECT_FALSE(read.overall.find("undefined"));
  EXPECT_EQ(read.pairs->counts, evaluation.pairs->counts);
  EXPECT_EQ(read.num_bad_rows, 2);
}

TEST(ResultFiles, RewardBench2IsReadAsItWasWritten) {
  const std::vector<ScoredEvalItem> rows = {list_row("Factuality", "0", "p", {1.0}, {1.0, 0.5, 0}),
                                            list_row("Ties", "ref:0", "q", {1.0}, {0.5, 0.2}),
                                            list_row("Ties", "tied:0", "q", {2.0, 1.0}, {0.5})};
  const results::Evaluation read =
      read_back(benchmark_result(Benchmark::kRewardBench2, rows, kBootstrap));
  EXPECT_EQ(read.ties_subset.find("ref_accuracy")->value, 1.0);
  EXPECT_EQ(read.subsets.front().metrics.find("num_correct")->value, 0.5);
}

TEST(ResultFiles, PairBenchmarksAreReadAsTheyWereWritten) {
  std::vector<ScoredEvalItem> rows = pair_rows();
  for (ScoredEvalItem& row : rows) row.item.subset = "livecodebench";
  const results::Evaluation read =
      read_back(benchmark_result(Benchmark::kJudgeBench, rows, kBootstrap));
  EXPECT_FALSE(read.missing_sections->empty());
}

TEST(ResultFiles, VotesAndPicksAreReadAsTheyWereWritten) {
  results::Evaluation votes{.benchmark = "votes", .temperature_source = "calibration"};
  votes.overall.add("temperature", 2.0);
  for (const char* name : {"without_offsets", "with_offsets", "difference"}) {
    votes.predictions.push_back({.name = name});
    votes.predictions.back().metrics.add(
        "accuracy", Estimate{.value = 0.5, .ci95 = results::Interval{0.25, 0.75}});
  }
  votes.warnings = {"few votes"};
  EXPECT_EQ(read_back(votes).predictions.size(), 3u);
  results::Evaluation audit{.benchmark = "best-of-n"};
  audit.picks = {{.n = 4, .num_prompts = 2, .kl = 0.5}};
  audit.picks[0].measures = {{.name = "score", .before = {.value = 1.0, .ci95 = {}}}};
  EXPECT_EQ(read_back(audit).picks.front().n, 4);
}

TEST(ResultFiles, RmBenchIsReadAsItWasWritten) {
  std::vector<ScoredEvalItem> rows;
  for (const char* domain : {"chat", "math", "code", "safety-refuse"}) {
    for (int i = 0; i < 6; ++i) {
      rows.push_back(style_row(domain, std::to_string(i), domain + std::to_string(i),
                               {1.0, 2.0 - i, 3.0}, {0.5 * i, 1.0, 2.0}));
    }
  }
  const results::Evaluation read =
      read_back(benchmark_result(Benchmark::kRmBench, rows, kBootstrap));
  EXPECT_TRUE(read.overall.find("overall"));
  EXPECT_TRUE(read.section("chat").find("easy"));
  EXPECT_EQ(read.missing_sections->size(), 0u);
}

TEST(ResultFiles, AComparisonIsReadAsItWasWritten) {
  const results::Comparison comparison =
      compare_rows(Benchmark::kRewardBench, pair_rows(), pair_rows(1), kBootstrap);
  const Json json = results::to_json(comparison);
  const results::Comparison read =
      results::read_comparison(Json::parse(json.dump(2)), "comparison.json");
  EXPECT_EQ(results::to_json(read).dump(2), json.dump(2));
  const results::ComparedPart& overall = comparison.overall.front();
  ASSERT_NE(read.find("overall"), nullptr);
  EXPECT_EQ(read.find("overall")->flips->gained, overall.flips->gained);
  EXPECT_EQ(read.find("overall")->flips->p_value, overall.flips->p_value);
  expect_equal(read.find("overall")->a, *overall.a);
  expect_equal(read.find("overall")->difference, *overall.difference);
  EXPECT_EQ(read.sections.size(), comparison.sections.size());
}

TEST(ResultFiles, CorrelationsAreReadAsTheyWereWritten) {
  std::vector<Score> scores;
  for (int i = 0; i < 12; ++i) {
    for (const auto& [policy, gain] : {std::pair("a", 0.1f), {"b", 0.4f}, {"c", 0.2f}}) {
      scores.push_back({.prompt_id = std::to_string(i),
                        .policy = policy,
                        .score = gain * static_cast<float>(i % 5) - 0.1f * static_cast<float>(i)});
    }
  }
  const results::Evaluation read =
      read_back(arena_result(scores, {{"a", 1000.0}, {"b", 1200.0}, {"c", 1100.0}}, kBootstrap));
  EXPECT_TRUE(read.mean_score.find("spearman"));
  EXPECT_TRUE(read.win_rate.find("kendall"));
  EXPECT_EQ(read.ratings().at("b"), 1200.0);
}

}  // namespace
}  // namespace charm::evaluate
