#include "charm/evaluate/pair_benchmarks.h"

#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>

#include "charm/base/files.h"
#include "charm/evaluate/read_benchmark.h"
#include "charm/evaluate/row_benchmark.h"
#include "charm/storage/record_writer.h"
#include "charm/storage/row_reader.h"
#include "charm/storage/row_view.h"
#include "tests/support/expect_error.h"
#include "tests/support/source_dir.h"
#include "tests/unit/base/temp_folder.h"
#include "tests/unit/evaluate/eval_rows.h"

namespace charm::evaluate {
namespace {

using Json = nlohmann::ordered_json;

class PairBenchmarks : public ::testing::Test {
 protected:
  std::vector<ScoredEvalItem> read(Benchmark benchmark, const std::vector<Json>& rows,
                                   const char* name = "rows.jsonl", bool with_scores = false) {
    std::string text;
    for (const Json& row : rows) text += row.dump() + "\n";
    write_file(folder_ / name, text);
    const std::vector<fs::path> paths = {folder_ / name};
    return read_benchmark(paths, {.benchmark = benchmark}, with_scores).rows;
  }
  /// Saved with the scores and read back.
  std::vector<ScoredEvalItem> saved(Benchmark benchmark, const std::vector<ScoredEvalItem>& rows,
                                    storage::EvalShape shape) {
    const std::vector<fs::path> paths = {folder_ / "saved.parquet"};
    storage::write_eval_scores(paths[0], rows, shape);
    return read_benchmark(paths, {.benchmark = benchmark}, /*with_scores=*/true).rows;
  }
  static Json judge_row(const char* id, const char* source, const char* label) {
    return {{"pair_id", id},       {"original_id", 1},      {"source", source},
            {"question", "q"},     {"response_model", "m"}, {"response_A", "one"},
            {"response_B", "two"}, {"label", label}};
  }

  const testing::TempFolder folder_;
};

TEST_F(PairBenchmarks, JudgeBenchIsPooledAndTiesAreWrong) {
  auto rows = read(Benchmark::kJudgeBench,
                   {judge_row("1", "mmlu-pro-law", "A>B"), judge_row("2", "livebench-math", "B>A"),
                    judge_row("3", "livebench-reasoning", "B>A"),
                    judge_row("4", "livecodebench", "A>B"), judge_row("5", "mmlu-pro-law", "A>B")});
  ASSERT_EQ(rows.size(), 5u);
  EXPECT_EQ(rows[1].item.chosen[0], "two");
  const double scores[][2] = {{2, 1}, {1, 1}, {0, 1}, {3, 1}, {1, 0}};
  for (std::size_t r = 0; r < rows.size(); ++r) {
    rows[r].score_chosen = {scores[r][0]};
    rows[r].score_rejected = {scores[r][1]};
  }
  rows = saved(Benchmark::kJudgeBench, rows, storage::EvalShape::kPair);
  const auto result = benchmark_result(Benchmark::kJudgeBench, rows, {.num_replicates = 20});
  EXPECT_DOUBLE_EQ(value(result.overall, "overall"), 3.0 / 5);
  EXPECT_EQ(result.sections[0].name, "Knowledge");
  EXPECT_DOUBLE_EQ(value(result.sections[0].metrics, "score"), 1.0);
  EXPECT_DOUBLE_EQ(value(result.sections[1].metrics, "score"), 0.0);
  EXPECT_EQ(value(result.overall, "ties"), 1);
}

TEST_F(PairBenchmarks, JudgeBenchTakesScoresBesideThePublishedRows) {
  Json row = judge_row("1", "mmlu-pro-law", "B>A");
  row["score_A"] = 1.5;
  row["score_B"] = 2.5;
  const auto rows = read(Benchmark::kJudgeBench, {row}, "scored.jsonl", /*with_scores=*/true);
  EXPECT_EQ(rows[0].score_chosen[0], 2.5);
  EXPECT_EQ(rows[0].score_rejected[0], 1.5);
  EXPECT_ERROR(kInput, "column 'label': expected A>B or B>A",
               read(Benchmark::kJudgeBench, {judge_row("1", "mmlu-pro-law", "A=B")}));
  EXPECT_ERROR(kInput, "column 'source'",
               read(Benchmark::kJudgeBench, {judge_row("1", "mmlu", "A>B")}));
  const Json unscored = judge_row("1", "mmlu-pro-law", "A>B");
  EXPECT_ERROR(kInput, "no score_A and score_B; give it with --data and --model",
               read(Benchmark::kJudgeBench, {unscored}, "unscored.jsonl", /*with_scores=*/true));
  EXPECT_ERROR(kInput, "no row of rmb: it has neither the column 'category_path'",
               read(Benchmark::kRmb, {unscored}));
}

TEST_F(PairBenchmarks, RmbHasPairsAndBestOfN) {
  const Json turns = Json::array({{{"role", "user"}, {"content", "hi"}, {"language", "English"}}});
  const auto answer = [](const char* text) { return Json{{"llm_name", "m"}, {"answer", text}}; };
  auto rows =
      read(Benchmark::kRmb, {{{"pair_uid", "1"},
                              {"conversation_input", turns},
                              {"chosen", answer("a")},
                              {"reject", answer("b")},
                              {"category_path", "Pairwise_set/Helpfulness/Chat/Discussion"}},
                             {{"bon_uid", "2"},
                              {"conversation_input", turns},
                              {"bon_best", answer("a")},
                              {"loser_list", {answer("b"), answer("c"), answer("d")}},
                              {"category_path", "BoN_set/Harmlessness/S1"}},
                             {{"bon_uid", "3"},
                              {"conversation_input", turns},
                              {"bon_best", answer("a")},
                              {"loser_list", {answer("b"), answer("c")}},
                              {"category_path", "BoN_set/Harmlessness/S1"}}});
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[0].item.prompt, (Conversation{{"user", "hi"}}));
  EXPECT_EQ(rows[1].item.rejected.size(), 3u);
  rows[0].score_chosen = {1};
  rows[0].score_rejected = {0};
  rows[1].score_chosen = {1};
  rows[1].score_rejected = {0, 2, 0};  // one loser is better: wrong
  rows[2].score_chosen = {1};
  rows[2].score_rejected = {0, 1};  // a tie is wrong
  rows = saved(Benchmark::kRmb, rows, storage::EvalShape::kSubsetLists);
  const auto result = benchmark_result(Benchmark::kRmb, rows, {.num_replicates = 0});
  EXPECT_FALSE(result.overall.find("overall"));
  EXPECT_DOUBLE_EQ(value(result.overall, "overall_partial"), 0.5);
  EXPECT_EQ(result.missing_sections,
            (std::vector<std::string>{"BoN helpfulness", "pairwise harmlessness"}));
}

TEST_F(PairBenchmarks, PpeCountsItsSampledPairs) {
  Json row = {{"question_id", "q1"},
              {"prompt", "2 + 2"},
              {"scores", {true, false, true, false}},
              {"sampled_conflict_pairs", {{0, 1}, {3, 2}}}};
  for (int i = 1; i <= 4; ++i) row["response_" + std::to_string(i)] = "r" + std::to_string(i);
  Json all_right = row;
  all_right["question_id"] = "q2";
  all_right["scores"] = {true, true, true, true};
  all_right["sampled_conflict_pairs"] = Json::array();
  auto rows = read(Benchmark::kPpe, {row, all_right}, "PPE-MMLU-Pro-Best-of-K.jsonl");
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].item.subset, "mmlu-pro");
  EXPECT_EQ(rows[0].item.chosen, (std::vector<std::string>{"r1", "r3"}));
  EXPECT_EQ(rows[0].item.pairs, (std::vector<std::array<std::int32_t, 2>>{{0, 0}, {1, 1}}));
  rows[0].score_chosen = {2, 0};    // r1, r3
  rows[0].score_rejected = {1, 1};  // r2, r4
  rows[1].score_chosen = {1, 2, 3, 4};
  rows = saved(Benchmark::kPpe, rows, storage::EvalShape::kSubsetLists);
  ASSERT_EQ(rows[0].item.pairs.size(), 2u);
  const auto result = benchmark_result(Benchmark::kPpe, rows, {.num_replicates = 20});
  EXPECT_DOUBLE_EQ(value(result.sections[0].metrics, "score"), 0.5);  // r1 > r2, not r3 > r4
  EXPECT_DOUBLE_EQ(value(result.sections[0].metrics, "auc"), 0.5);    // of q1 alone
  EXPECT_DOUBLE_EQ(value(result.sections[0].metrics, "best_of_k"), 1.0);
  row["sampled_conflict_pairs"] = {{0, 2}};
  EXPECT_ERROR(kInput, "[0,2] is no pair of a right and a wrong response",
               read(Benchmark::kPpe, {row}, "math.jsonl"));
  EXPECT_ERROR(kInput, "names one of mmlu-pro", read(Benchmark::kPpe, {all_right}, "x.jsonl"));
}

/// Made-up rows in the published forms with scores, and what the benchmarks' own code counts on
/// them (tools/golden/make_pair_benchmarks_golden.py).
class PairBenchmarksGolden : public PairBenchmarks {
 protected:
  static Json golden(const char* benchmark) {
    return Json::parse(read_file(charm::test::kSourceDir + std::string("/") +
                                 "tests/data/golden/eval/pair_benchmarks.json"))[benchmark];
  }
  static std::vector<Json> rows_of(const Json& golden) {
    return {golden["rows"].begin(), golden["rows"].end()};
  }
  static void expect_scores(const results::Evaluation& result, const Json& expected,
                            const char* measure = "score") {
    ASSERT_EQ(result.sections.size(), expected.size());
    for (const results::BenchmarkPart& section : result.sections)
      EXPECT_NEAR(value(section.metrics, measure), expected[section.name].get<double>(), 1e-12)
          << section.name;
  }
};

TEST_F(PairBenchmarksGolden, JudgeBench) {
  const Json golden = this->golden("judge_bench");
  const auto rows =
      read(Benchmark::kJudgeBench, rows_of(golden), "rows.jsonl", /*with_scores=*/true);
  const auto result = benchmark_result(Benchmark::kJudgeBench, rows, {.num_replicates = 0});
  EXPECT_NEAR(value(result.overall, "overall"), golden["expected"]["overall"].get<double>(), 1e-12);
  expect_scores(result, golden["expected"]["sections"]);
  EXPECT_EQ(value(result.overall, "ties"), golden["ties"].get<double>());
  EXPECT_GT(value(result.overall, "ties"), 0);
}

TEST_F(PairBenchmarksGolden, Rmb) {
  const Json golden = this->golden("rmb");
  auto rows = read(Benchmark::kRmb, rows_of(golden));
  for (std::size_t r = 0; r < rows.size(); ++r) {
    rows[r].score_chosen = golden["rows"][r]["score_chosen"].get<std::vector<double>>();
    rows[r].score_rejected = golden["rows"][r]["score_rejected"].get<std::vector<double>>();
  }
  const auto result = benchmark_result(Benchmark::kRmb, rows, {.num_replicates = 0});
  EXPECT_NEAR(value(result.overall, "overall"), golden["expected"]["overall"].get<double>(), 1e-12);
  expect_scores(result, golden["expected"]["sections"]);
  EXPECT_GT(value(result.overall, "ties"), 0);
}

TEST_F(PairBenchmarksGolden, Ppe) {
  const Json golden = this->golden("ppe");
  auto rows = read(Benchmark::kPpe, rows_of(golden));
  for (std::size_t r = 0; r < rows.size(); ++r) {
    const Json& published = golden["rows"][r];
    rows[r].score_chosen.clear();
    for (std::size_t k = 0; k < published["scores"].size(); ++k) {
      auto& side = published["scores"][k] ? rows[r].score_chosen : rows[r].score_rejected;
      side.push_back(published["reward"][k].get<double>());
    }
  }
  const auto result = benchmark_result(Benchmark::kPpe, rows, {.num_replicates = 0});
  EXPECT_NEAR(value(result.overall, "overall"), golden["expected"]["overall"].get<double>(), 1e-12);
  expect_scores(result, golden["expected"]["sections"]);
  expect_scores(result, golden["expected"]["auc"], "auc");
  expect_scores(result, golden["expected"]["best_of_k"], "best_of_k");
}

// The scores that five real reward models gave, and the accuracies that the data's README counts.
TEST_F(PairBenchmarks, JudgeBenchOfFiveRealRewardModels) {
  const fs::path data = charm::test::kSourceDir + std::string("/../shared/data/judgebench");
  if (!fs::exists(data)) GTEST_SKIP() << "the shared data is not here";
  const std::vector<fs::path> paths = {data / "gpt.jsonl.gz"};
  auto rows = read_benchmark(paths, {.benchmark = Benchmark::kJudgeBench}, false).rows;
  ASSERT_EQ(rows.size(), 350u);
  std::map<std::string, Json> scores;  // by pair
  storage::RowReader reader(data / "rm_scores.jsonl.gz", {});
  while (const storage::RowView* row = reader.next())
    scores[row->to_json()["pair_id"]] = row->to_json()["scores"];
  std::map<std::string, std::string> label;
  storage::RowReader published(paths[0], {});
  while (const storage::RowView* row = published.next())
    label[row->to_json()["pair_id"]] = row->to_json()["label"];
  const std::map<std::string, std::array<double, 6>> expected = {
      {"Skywork/Skywork-Reward-Gemma-2-27B", {64.29, 59.74, 66.33, 83.93, 50.00, 3}},
      {"internlm/internlm2-20b-reward", {63.43, 62.34, 69.39, 66.07, 50.00, 0}},
      {"Skywork/Skywork-Reward-Llama-3.1-8B", {62.29, 59.09, 64.29, 76.79, 50.00, 1}},
      {"internlm/internlm2-7b-reward", {59.43, 56.49, 61.22, 71.43, 50.00, 0}},
      {"Ray2333/GRM-Gemma-2B-rewardmodel-ft", {59.43, 62.99, 53.06, 64.29, 54.76, 0}}};
  for (const auto& [model, accuracies] : expected) {
    for (ScoredEvalItem& row : rows) {
      const Json& pair = scores.at(row.item.id).at(model);
      const bool is_a = label.at(row.item.id) == "A>B";
      row.score_chosen = {pair[is_a ? 0 : 1].get<double>()};
      row.score_rejected = {pair[is_a ? 1 : 0].get<double>()};
    }
    const auto result = benchmark_result(Benchmark::kJudgeBench, rows, {.num_replicates = 0});
    EXPECT_NEAR(100 * value(result.overall, "overall"), accuracies[0], 0.005) << model;
    for (std::size_t s = 0; s < 4; ++s)
      EXPECT_NEAR(100 * value(result.sections[s].metrics, "score"), accuracies[s + 1], 0.005)
          << model;
    EXPECT_EQ(value(result.overall, "ties"), accuracies[5]) << model;
  }
}

}  // namespace
}  // namespace charm::evaluate
