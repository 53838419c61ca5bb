#include "charm/evaluate/compare.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/base/random.h"
#include "charm/evaluate/compare_stage.h"
#include "charm/evaluate/evaluate_stage.h"
#include "charm/records/eval_item.h"
#include "charm/records/response.h"
#include "charm/records/score.h"
#include "charm/stats/hypothesis_tests.h"
#include "charm/storage/record_writer.h"
#include "tests/support/expect_error.h"
#include "tests/unit/evaluate/eval_rows.h"

namespace charm::evaluate {
namespace {

const results::ComparedPart& named(const std::vector<results::ComparedPart>& parts,
                                   const std::string& name) {
  return *std::ranges::find(parts, name, &results::ComparedPart::name);
}

/// `num` rows of a subset; row i is right in A and B as the two bits of pattern[i % size] say.
std::vector<ScoredEvalItem> rows_with(const std::string& subset, int num,
                                      const std::vector<int>& pattern, int bit) {
  std::vector<ScoredEvalItem> rows;
  for (int i = 0; i < num; ++i) {
    const int code = pattern[static_cast<std::size_t>(i) % pattern.size()];
    rows.push_back(pair_row(subset, std::to_string(i), subset + std::to_string(i),
                            (code >> bit) & 1 ? 1.0 : -1.0, 0.0));
  }
  return rows;
}

TEST(CompareRows, CountsFlipsAndTestsThem) {
  // Of every five rows: one gained, one lost of every ten... codes: 0 both wrong, 1 only A, 2 only
  // B, 3 both right.
  const std::vector<int> pattern = {3, 2, 2, 0, 1};
  const auto a = rows_with("hep-go", 50, pattern, 0), b = rows_with("hep-go", 50, pattern, 1);
  const results::Comparison comparison =
      compare_rows(Benchmark::kRewardBench, a, b, {.num_replicates = 400, .seed = 2});
  const results::Flips& flips = *named(comparison.subsets, "hep-go").flips;
  EXPECT_EQ(flips.gained, 20);
  EXPECT_EQ(flips.lost, 10);
  EXPECT_EQ(flips.num_rows, 50);
  EXPECT_DOUBLE_EQ(flips.p_value, stats::mcnemar_test(20, 10).p_value);
  EXPECT_EQ(comparison.overall[0].flips->gained, 20);
  const results::ComparedPart& accuracy = named(comparison.subsets, "hep-go");
  EXPECT_DOUBLE_EQ(accuracy.a->value, 0.4);
  EXPECT_DOUBLE_EQ(accuracy.b->value, 0.6);
  EXPECT_DOUBLE_EQ(accuracy.difference->value, accuracy.b->value - accuracy.a->value);
  // Paired: sd of d is sqrt(0.6 - 0.2^2), so the half width is near 1.96 * 0.748 / sqrt(50).
  EXPECT_NEAR(accuracy.difference->ci95->hi - accuracy.difference->ci95->lo,
              2 * 1.96 * 0.748 / std::sqrt(50.0), 0.06);
}

TEST(CompareRows, OfARunWithItselfNothingDiffers) {
  std::vector<ScoredEvalItem> rows = rows_with("hep-go", 20, {3, 0, 3}, 0);
  std::vector<ScoredEvalItem> shuffled = rows;
  RandomStream random(1, "test");
  random.shuffle(shuffled);
  const results::Comparison comparison =
      compare_rows(Benchmark::kRewardBench, rows, shuffled, {.num_replicates = 50, .seed = 2});
  for (const auto* parts : {&comparison.subsets, &comparison.sections, &comparison.overall}) {
    EXPECT_EQ(parts->front().difference->value, 0.0);
    EXPECT_EQ(parts->front().difference->ci95->lo, 0.0);
    EXPECT_EQ(parts->front().difference->ci95->hi, 0.0);
  }
  EXPECT_EQ(comparison.overall[0].flips->p_value, 1.0);
}

TEST(CompareRows, DifferenceIntervalsCover) {
  // Two correlated runs of 150 rows, two to a prompt; the true difference of accuracies is 0.1.
  int covered = 0;
  constexpr int kWorlds = 400;
  for (int world = 0; world < kWorlds; ++world) {
    RandomStream random(static_cast<std::uint64_t>(world), "test");
    std::vector<ScoredEvalItem> a, b;
    double prompt_draw = 0.0;
    for (int i = 0; i < 150; ++i) {
      if (i % 2 == 0) prompt_draw = random.uniform();
      const double draw = random.uniform() < 0.7 ? prompt_draw : random.uniform();
      const std::string id = std::to_string(i), prompt = std::to_string(i / 2);
      a.push_back(pair_row("hep-go", id, prompt, draw < 0.6 ? 1.0 : -1.0, 0.0));
      b.push_back(pair_row("hep-go", id, prompt, draw > 0.05 && draw < 0.75 ? 1.0 : -1.0, 0.0));
    }
    const results::Comparison comparison =
        compare_rows(Benchmark::kRewardBench, a, b,
                     {.num_replicates = 400, .seed = static_cast<std::uint64_t>(world)});
    const Estimate& difference = *named(comparison.subsets, "hep-go").difference;
    covered += difference.ci95->lo <= 0.1 && 0.1 <= difference.ci95->hi;
  }
  EXPECT_NEAR(covered, kWorlds * 0.95, kWorlds * 0.03);
}

TEST(CompareRows, RmBenchTestsByRow) {
  const std::vector<ScoredEvalItem> a = {style_row("chat", "1", "p", {1, 1, 1}, {2, 2, 2}),
                                         style_row("chat", "2", "q", {1, 1, 1}, {0, 0, 0})};
  const std::vector<ScoredEvalItem> b = {style_row("chat", "1", "p", {3, 3, 3}, {2, 2, 2}),
                                         style_row("chat", "2", "q", {1, 1, 1}, {0, 0, 5})};
  const results::Comparison comparison =
      compare_rows(Benchmark::kRmBench, a, b, {.num_replicates = 0});
  const results::Flips& flips = *named(comparison.sections, "chat").flips;
  EXPECT_EQ(flips.gained, 9);
  EXPECT_EQ(flips.lost, 3);
  EXPECT_DOUBLE_EQ(*flips.statistic, 36.0 / 90.0);
  const nlohmann::ordered_json json = results::to_json(comparison);
  EXPECT_FALSE(json.contains("overall"));
  EXPECT_EQ(json["domains"]["chat"]["num_comparisons"], 18);
  EXPECT_TRUE(json["domains"]["chat"]["hard"].contains("difference"));
}

TEST(CompareRows, RewardBench2CountsALoneBestScoreAndWholeTiesRows) {
  const std::vector<ScoredEvalItem> a = {list_row("Math", "0", "p", {1}, {1, 0, 0}),
                                         list_row("Ties", "ref:0", "q", {1}, {0}),
                                         list_row("Ties", "tied:0", "r", {1, 0}, {0})};
  const std::vector<ScoredEvalItem> b = {list_row("Math", "0", "p", {2}, {1, 0, 0}),
                                         list_row("Ties", "ref:0", "q", {1}, {2}),
                                         list_row("Ties", "tied:0", "r", {1, 1}, {0})};
  const results::Comparison comparison =
      compare_rows(Benchmark::kRewardBench2, a, b, {.num_replicates = 20});
  EXPECT_EQ(named(comparison.subsets, "Math").flips->gained, 1);
  EXPECT_EQ(named(comparison.subsets, "Ties").flips->gained, 1);
  EXPECT_EQ(named(comparison.subsets, "Ties").flips->lost, 1);
  EXPECT_DOUBLE_EQ(named(comparison.subsets, "Math").difference->value, 0.5);
  EXPECT_EQ(named(comparison.subsets, "Ties").measure("tied_accuracy")->difference->value, 1.0);
}

TEST(CompareRows, RowsThatDoNotMatchAreNamed) {
  const auto a = rows_with("hep-go", 3, {3}, 0);
  auto b = rows_with("hep-go", 4, {3}, 0);
  b[1].item.chosen[0] = "another text";
  try {
    compare_rows(Benchmark::kRewardBench, a, b, {.num_replicates = 0});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    EXPECT_THAT(error.message(),
                testing::HasSubstr("1 only in A (first: 1 of hep-go), 2 only in B"));
  }
}

std::vector<Score> arena_rows(const std::vector<double>& levels, std::uint64_t seed) {
  std::vector<Score> rows;
  for (std::size_t p = 0; p < levels.size(); ++p) {
    for (int n = 0; n < 30; ++n) {
      RandomStream random(seed, "noise", p * 1000 + static_cast<std::size_t>(n));
      rows.push_back({std::to_string(n),
                      std::string(1, static_cast<char>('a' + p)),
                      0,
                      static_cast<float>(levels[p] + random.normal()),
                      {}});
    }
  }
  return rows;
}

TEST(CompareArena, DifferenceOfCorrelations) {
  const std::map<std::string, double> ratings = {
      {"a", 1000}, {"b", 1100}, {"c", 1200}, {"d", 1300}};
  std::vector<Score> a = arena_rows({3, 2, 1, 0}, 1), b = arena_rows({0, 1, 2, 3}, 2);
  std::reverse(b.begin(), b.end());
  b[0].error = "no score";
  const results::Comparison comparison =
      compare_arena(a, b, ratings, {"a"}, {.num_replicates = 50, .seed = 1});
  EXPECT_EQ(comparison.num_left_out, 1);
  const results::ComparedPart& pearson =
      *named(comparison.correlations, "mean_score").measure("pearson");
  EXPECT_LT(pearson.a->value, -0.9);
  EXPECT_GT(pearson.b->value, 0.9);
  EXPECT_GT(pearson.difference->ci95->lo, 1.5);
  const nlohmann::ordered_json json = results::to_json(comparison);
  EXPECT_TRUE(json["correlations"]["win_rate"]["kendall"].contains("difference_ci95"));
  EXPECT_FALSE(json.contains("overall"));
  EXPECT_LT(json["mean_abs_mismatch"]["difference"].get<double>(), -0.2);
  EXPECT_EQ(json["mean_abs_mismatch_left_out"]["a"],
            json["policies"]["a"]["mean_abs_mismatch"]["a"]);
  a.pop_back();
  EXPECT_ERROR(kInput, "scores of different responses",
               compare_arena(a, b, ratings, {}, {.num_replicates = 0}));
}

class CompareStage : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) / ("charm_compare_" + std::to_string(::getpid()));
    fs::create_directories(folder_);
    const std::vector<int> pattern = {3, 2, 0, 1};
    storage::write_eval_scores(folder_ / "a.parquet", rows_with("hep-go", 40, pattern, 0),
                               storage::EvalShape::kPair);
    storage::write_eval_scores(folder_ / "b.jsonl", rows_with("hep-go", 40, pattern, 1),
                               storage::EvalShape::kPair);
    options_.bootstrap = 20;
    options_.output = folder_ / "compare.json";
  }
  void TearDown() override { fs::remove_all(folder_); }

  ErrorKind kind_of_failure() const {
    try {
      compare(options_);
    } catch (const Error& error) {
      message_ = error.message();
      return error.kind();
    }
    ADD_FAILURE() << "no error";
    return ErrorKind::kInternal;
  }

  fs::path folder_;
  CompareOptions options_;
  mutable std::string message_;
};

TEST_F(CompareStage, SavedScoresInAnyFormat) {
  options_.runs = {folder_ / "a.parquet", folder_ / "b.jsonl"};
  EXPECT_EQ(compare(options_).benchmark, Benchmark::kRewardBench);
  const auto json = nlohmann::json::parse(read_file(options_.output));
  EXPECT_EQ(json["subsets"]["hep-go"]["gained"], 10);
  EXPECT_EQ(json["subsets"]["hep-go"]["mcnemar"]["test"], "exact binomial");
  EXPECT_EQ(json["a"]["name"], "a");
  EXPECT_TRUE(fs::exists(options_.output.string() + ".manifest.json"));
}

TEST_F(CompareStage, ResultsFindTheirScores) {
  EvaluateOptions evaluation;
  evaluation.bootstrap = 0;
  evaluation.scores = {folder_ / "a.parquet"};
  evaluation.model_name = "first";
  evaluation.output = folder_ / "out" / "result.json";
  evaluate(evaluation, {});
  options_.runs = {evaluation.output, folder_ / "b.jsonl"};
  const CompareResult result = compare(options_);
  EXPECT_THAT(result.summary, testing::HasSubstr("A: first"));
  EXPECT_EQ(result.comparison.overall[0].flips->gained, 10);
  fs::remove(folder_ / "a.parquet");
  EXPECT_EQ(kind_of_failure(), ErrorKind::kInput);
  EXPECT_THAT(message_, testing::HasSubstr("a.parquet is missing"));
}

TEST_F(CompareStage, ArenaResultsAndFolders) {
  for (const char* run : {"x", "y"}) {
    for (int policy = 0; policy < 3; ++policy) {
      std::vector<ScoredResponse> rows;
      for (int i = 0; i < 5; ++i) {
        ScoredResponse row;
        row.response = {.prompt_id = std::to_string(i),
                        .prompt = {{"user", "p"}},
                        .response = "r",
                        .policy = "policy" + std::to_string(policy)};
        row.score = static_cast<float>(run[0] == 'x' ? policy : -policy);
        rows.push_back(std::move(row));
      }
      storage::write_scores(folder_ / run / ("policy" + std::to_string(policy) + ".parquet"), rows);
    }
  }
  options_.ratings = folder_ / "ratings.json";
  write_file(options_.ratings, R"({"policy0": 1000, "policy1": 1100, "policy2": 1250})");
  options_.runs = {folder_ / "x", folder_ / "y"};
  compare(options_);
  const auto json = nlohmann::json::parse(read_file(options_.output));
  EXPECT_EQ(json["benchmark"], "arena");
  EXPECT_DOUBLE_EQ(json["correlations"]["win_rate"]["spearman"]["difference"].get<double>(), -2.0);
  EvaluateOptions evaluation;
  evaluation.benchmark = Benchmark::kArena;
  evaluation.bootstrap = 0;
  evaluation.ratings = options_.ratings;
  for (int policy = 0; policy < 3; ++policy) {
    evaluation.scores.push_back(folder_ / "x" / ("policy" + std::to_string(policy) + ".parquet"));
  }
  evaluation.output = folder_ / "arena.json";
  evaluate(evaluation, {});
  options_.ratings.clear();
  options_.runs = {evaluation.output, folder_ / "y"};
  EXPECT_EQ(compare(options_).benchmark, Benchmark::kArena);
  options_.runs = {folder_ / "x", folder_ / "y"};
  EXPECT_EQ(kind_of_failure(), ErrorKind::kUsage);  // no ratings anywhere
}

TEST_F(CompareStage, RefusesWhatCannotBeCompared) {
  options_.runs = {folder_ / "a.parquet"};
  EXPECT_EQ(kind_of_failure(), ErrorKind::kUsage);
  options_.runs = {folder_ / "a.parquet", folder_ / "gone.parquet"};
  EXPECT_EQ(kind_of_failure(), ErrorKind::kIo);
  const std::vector<ScoredEvalItem> lists = {list_row("Math", "0", "p", {1}, {0})};
  storage::write_eval_scores(folder_ / "lists.parquet", lists, storage::EvalShape::kSubsetLists);
  options_.runs = {folder_ / "a.parquet", folder_ / "lists.parquet"};
  EXPECT_EQ(kind_of_failure(), ErrorKind::kInput);
  EXPECT_THAT(message_, testing::AllOf(testing::HasSubstr("reward-bench,"),
                                       testing::HasSubstr("reward-bench-2")));
  fs::create_directories(folder_ / "rows");
  fs::copy_file(folder_ / "a.parquet", folder_ / "rows" / "a.parquet");
  options_.runs = {folder_ / "rows", folder_ / "a.parquet"};
  EXPECT_EQ(kind_of_failure(), ErrorKind::kInput);
  EXPECT_THAT(message_, testing::HasSubstr("a.parquet contains rows of reward-bench"));
  write_file(folder_ / "empty.jsonl", "");
  options_.runs = {folder_ / "a.parquet", folder_ / "empty.jsonl"};
  EXPECT_EQ(kind_of_failure(), ErrorKind::kInput);
  write_file(folder_ / "other.jsonl", "{\"prompt\": \"p\"}\n");
  options_.runs = {folder_ / "a.parquet", folder_ / "other.jsonl"};
  EXPECT_EQ(kind_of_failure(), ErrorKind::kInput);
  EXPECT_THAT(message_, testing::HasSubstr("score_chosen"));
  options_.runs = {folder_ / "a.parquet", folder_ / "b.jsonl"};
  options_.benchmark = Benchmark::kRewardBench2;
  EXPECT_EQ(kind_of_failure(), ErrorKind::kInput);
  options_.benchmark = Benchmark::kRewardBench;
  options_.ratings = folder_ / "r.json";
  EXPECT_EQ(kind_of_failure(), ErrorKind::kUsage);
  EXPECT_FALSE(fs::exists(options_.output));
}

}  // namespace
}  // namespace charm::evaluate
