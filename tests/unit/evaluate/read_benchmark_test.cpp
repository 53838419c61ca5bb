#include "charm/evaluate/read_benchmark.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <limits>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/evaluate/rm_bench.h"
#include "charm/evaluate/row_benchmark.h"
#include "charm/records/eval_item.h"
#include "charm/storage/record_writer.h"
#include "tests/support/source_dir.h"
#include "tests/unit/evaluate/eval_rows.h"

namespace charm::evaluate {
namespace {

class ReadBenchmark : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) / ("charm_read_benchmark_" + std::to_string(::getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path write(const std::string& name, const std::string& content) const {
    write_file(folder_ / name, content);
    return folder_ / name;
  }

  static std::string message_of(const std::function<void()>& call) {
    try {
      call();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kInput);
      return error.message();
    }
    ADD_FAILURE() << "no error";
    return {};
  }

  fs::path folder_;
};

constexpr ReadBenchmarkOptions kRewardBench{.benchmark = Benchmark::kRewardBench};
constexpr ReadBenchmarkOptions kRewardBench2{.benchmark = Benchmark::kRewardBench2};
constexpr ReadBenchmarkOptions kRmBench{.benchmark = Benchmark::kRmBench};
constexpr const char* kStyles =
    R"("prompt": "p", "chosen": ["a", "b", "c"], "rejected": ["d", "e", "f"])";

TEST_F(ReadBenchmark, RewardBenchRowsKeepTheirTexts) {
  const std::vector<fs::path> paths = {write(
      "filtered.jsonl",
      R"({"id": 3692, "subset": "hep-python", "prompt": "p", "chosen": "    x\n", "rejected": ""})"
      "\n")};
  const BenchmarkRows read = read_benchmark(paths, kRewardBench, false);
  ASSERT_EQ(read.rows.size(), 1u);
  EXPECT_EQ(read.rows[0].item.id, "3692");
  EXPECT_EQ(read.rows[0].item.chosen[0], "    x\n");
  EXPECT_EQ(read.rows[0].item.rejected[0], "");
  EXPECT_EQ(read.rows[0].item.prompt, (Conversation{{"user", "p"}}));
}

TEST_F(ReadBenchmark, DomainComesFromFieldIdOrFileName) {
  const std::vector<fs::path> paths = {
      write("total_dataset.json", fmt::format(R"([{{"id": "1", "domain": "math", {}}}])", kStyles)),
      write("other.json", fmt::format(R"([{{"id": "code/17", {}}}])", kStyles)),
      write("safety-refuse_filtered.json", fmt::format(R"([{{"id": 2952, {}}}])", kStyles))};
  const BenchmarkRows read = read_benchmark(paths, kRmBench, false);
  ASSERT_EQ(read.rows.size(), 3u);
  EXPECT_EQ(read.rows[0].item.subset, "math");
  EXPECT_EQ(read.rows[1].item.subset, "code");
  EXPECT_EQ(read.rows[2].item.subset, "safety-refuse");
}

TEST_F(ReadBenchmark, UnusableRowsAreNamed) {
  const auto read = [&](const std::string& name, const std::string& content,
                        const ReadBenchmarkOptions& options) {
    const std::vector<fs::path> paths = {write(name, content)};
    return message_of([&] { read_benchmark(paths, options, false); });
  };
  EXPECT_THAT(read("unknown.json", fmt::format(R"([{{"id": 1, {}}}])", kStyles), kRmBench),
              testing::HasSubstr("domain"));
  EXPECT_THAT(read("chat.jsonl",
                   R"({"id": 1, "prompt": "p", "chosen": ["a", "b"], "rejected": ["d", "e", "f"]})"
                   "\n",
                   kRmBench),
              testing::AllOf(testing::HasSubstr("chat.jsonl:1"),
                             testing::HasSubstr("list of 3 texts, found a list of 2")));
  EXPECT_THAT(read("rows.jsonl",
                   R"({"id": 1, "prompt": "p", "chosen": "a", "rejected": "b"})"
                   "\n",
                   kRewardBench),
              testing::HasSubstr("'subset' is missing"));
}

TEST_F(ReadBenchmark, RewardBench2RowsThatDoNotFitAreNamed) {
  const auto message = [&](const std::string& row, bool with_scores) {
    const std::vector<fs::path> paths = {write("rows.jsonl", row + "\n")};
    return message_of([&] { read_benchmark(paths, kRewardBench2, with_scores); });
  };
  const std::string base =
      R"("subset": "Math", "prompt": "p", "chosen": ["a"], "rejected": ["b", "c"])";
  EXPECT_THAT(
      message(R"({"id": "1", "subset": "Math", "prompt": "p", "chosen": "a", "rejected": ["b"]})",
              false),
      testing::HasSubstr("'chosen': expected a list of at least one text, found string"));
  EXPECT_THAT(
      message(R"({"id": "1", "subset": "Math", "prompt": "p", "chosen": ["a"], "rejected": []})",
              false),
      testing::HasSubstr("'rejected': expected a list of at least one text, found a list of 0"));
  EXPECT_THAT(message(fmt::format(R"({{"id": "1", "num_incorrect": 3, {}}})", base), false),
              testing::HasSubstr("'num_incorrect' is 3, but the row has 2"));
  EXPECT_THAT(
      message(fmt::format(R"({{"id": "1", "score_chosen": [1], "score_rejected": [1], {}}})", base),
              true),
      testing::HasSubstr("'score_rejected': expected 2 scores, one for each text, found 1"));
  EXPECT_THAT(
      message(fmt::format(R"({{"id": "1", "score_chosen": [NaN], "score_rejected": [1, 2], {}}})",
                          base),
              true),
      testing::HasSubstr("rows.jsonl:1"));
  EXPECT_THAT(
      message(fmt::format(R"({{"id": "1", "score_chosen": [1], "score_rejected": [1, null], {}}})",
                          base),
              true),
      testing::HasSubstr("'score_rejected': expected a number, found null"));
  EXPECT_THAT(message(fmt::format(R"({{"id": "1", {}}})", base), true),
              testing::HasSubstr("'score_chosen' is missing"));
  EXPECT_THAT(
      message(
          R"({"id": "17", "subset": "Ties", "prompt": "p", "chosen": ["a"], "rejected": ["b"]})",
          false),
      testing::HasSubstr("expects ref:N or tied:N, found '17'"));
  EXPECT_THAT(message("", false), testing::HasSubstr("rows.jsonl"));
}

TEST_F(ReadBenchmark, PriorSetsAreCalledAfterTheirFile) {
  const std::vector<fs::path> paths = {
      write("shp-00000-of-00001.jsonl",
            R"({"prompt": [{"role": "user", "content": "p"}], "chosen": "a", "rejected": "b"})"
            "\n"),
      write("anthropic_hhh.jsonl",
            R"({"prompt": "p", "chosen": "a", "rejected": "b", "subset": "honest"})"
            "\n"),
      write("all.jsonl", R"({"prompt": "p", "chosen": "a", "rejected": "b", "subset": "summarize"})"
                         "\n")};
  const BenchmarkRows read = read_benchmark(paths, kRewardBench, false);
  EXPECT_EQ(read.rows[0].item.subset, "shp");
  EXPECT_EQ(read.rows[1].item.subset, "anthropic_hhh");
  EXPECT_EQ(read.rows[2].item.subset, "summarize");
}

TEST_F(ReadBenchmark, BadRowsWithinTheLimitAreCounted) {
  const std::vector<fs::path> paths = {
      write("rows.jsonl",
            R"({"id": 1, "subset": "hep-go", "prompt": "p", "chosen": "a", "rejected": "b"})"
            "\n"
            R"({"id": 2, "subset": "hep-go", "prompt": "p", "chosen": null, "rejected": "b"})"
            "\n")};
  ReadBenchmarkOptions options = kRewardBench;
  options.max_bad_rows = 1;
  const BenchmarkRows read = read_benchmark(paths, options, false);
  EXPECT_EQ(read.rows.size(), 1u);
  EXPECT_EQ(read.num_bad_rows, 1);
}

TEST_F(ReadBenchmark, TheSameRowTwiceIsAnError) {
  const fs::path path =
      write("rows.jsonl",
            R"({"id": 1, "subset": "hep-go", "prompt": "p", "chosen": "a", "rejected": "b"})"
            "\n");
  const std::vector<fs::path> paths = {path, path};
  EXPECT_THAT(message_of([&] { read_benchmark(paths, kRewardBench, false); }),
              testing::HasSubstr("duplicate of row"));
}

TEST_F(ReadBenchmark, SavedScoresComeBackExactly) {
  const std::vector<ScoredEvalItem> pairs = {pair_row("hep-go", "1", "p", 0.1f, -3.25),
                                             pair_row("hep-go", "2", "\xC3\xA9\n", 1e-30, 7)};
  const std::vector<ScoredEvalItem> lists = {
      style_row("chat", "1", "p", {0.1f, 1, 2}, {3, 4, 1.0 / 3}),
      style_row("safety-refuse", "1", "q", {0, 0, 0}, {0, 0, 0})};
  for (const char* extension : {".parquet", ".jsonl"}) {
    const std::vector<fs::path> pair_file = {folder_ / (std::string("pairs") + extension)};
    const std::vector<fs::path> list_file = {folder_ / (std::string("lists") + extension)};
    storage::write_eval_scores(pair_file[0], pairs, storage::EvalShape::kPair);
    storage::write_eval_scores(list_file[0], lists, storage::EvalShape::kLists);
    const BenchmarkRows read_pairs = read_benchmark(pair_file, kRewardBench, true);
    const BenchmarkRows read_lists = read_benchmark(list_file, kRmBench, true);
    ASSERT_EQ(read_pairs.rows.size(), 2u);
    ASSERT_EQ(read_lists.rows.size(), 2u);
    for (std::size_t i = 0; i < 2; ++i) {
      EXPECT_EQ(read_pairs.rows[i].score_chosen, pairs[i].score_chosen);
      EXPECT_EQ(read_pairs.rows[i].score_rejected, pairs[i].score_rejected);
      EXPECT_EQ(read_pairs.rows[i].item.prompt, pairs[i].item.prompt);
      EXPECT_EQ(read_lists.rows[i].score_chosen, lists[i].score_chosen);
      EXPECT_EQ(read_lists.rows[i].score_rejected, lists[i].score_rejected);
      EXPECT_EQ(read_lists.rows[i].item.subset, lists[i].item.subset);
      EXPECT_EQ(read_lists.rows[i].item.chosen, lists[i].item.chosen);
    }
  }
}

TEST_F(ReadBenchmark, RowsWithoutAFiniteScoreAreUnusable) {
  std::vector<ScoredEvalItem> rows = {pair_row("hep-go", "1", "p", 1, 2),
                                      pair_row("hep-go", "2", "q", 1, 2)};
  rows[1].score_chosen.clear();
  rows[1].score_rejected.clear();
  const std::vector<fs::path> failed = {folder_ / "failed.parquet"};
  storage::write_eval_scores(failed[0], rows, storage::EvalShape::kPair);
  EXPECT_THAT(message_of([&] { read_benchmark(failed, kRewardBench, true); }),
              testing::HasSubstr("score_chosen"));
  rows[1].score_chosen = {std::numeric_limits<double>::quiet_NaN()};
  rows[1].score_rejected = {1.0};
  const std::vector<fs::path> nan = {folder_ / "nan.parquet"};
  storage::write_eval_scores(nan[0], rows, storage::EvalShape::kPair);
  EXPECT_THAT(message_of([&] { read_benchmark(nan, kRewardBench, true); }),
              testing::HasSubstr("score_chosen"));
}

TEST(LimitPerSubset, DrawsBySeedAndKeepsOrder) {
  std::vector<ScoredEvalItem> rows;
  for (int i = 0; i < 40; ++i)
    rows.push_back(pair_row(i % 2 ? "hep-go" : "hep-js", std::to_string(i), "p", 0, 0));
  const auto ids = [](const std::vector<ScoredEvalItem>& kept) {
    std::vector<int> numbers;
    for (const auto& row : kept) numbers.push_back(std::stoi(row.item.id));
    return numbers;
  };
  const std::vector<int> first = ids(limit_per_subset(rows, 5, 1));
  EXPECT_EQ(first.size(), 10u);
  EXPECT_TRUE(std::is_sorted(first.begin(), first.end()));
  EXPECT_EQ(first, ids(limit_per_subset(rows, 5, 1)));
  EXPECT_NE(first, ids(limit_per_subset(rows, 5, 2)));
  EXPECT_EQ(limit_per_subset(rows, 0, 1).size(), 40u);
}

TEST(LimitPerSubset, DrawsWholeQuestionsOfTies) {
  std::vector<ScoredEvalItem> rows;
  for (int i = 0; i < 10; ++i) {
    rows.push_back(list_row("Ties", "ref:" + std::to_string(i), "p", {1}, {0}));
    rows.push_back(list_row("Ties", "tied:" + std::to_string(i), "q", {1}, {0}));
  }
  const auto kept = limit_per_subset(rows, 5, 3);
  ASSERT_EQ(kept.size(), 4u);
  EXPECT_EQ(kept[0].item.id.substr(4), kept[1].item.id.substr(5));
  EXPECT_EQ(limit_per_subset(rows, 1, 3).size(), 2u);
}

TEST(RealBenchmarks, WholeRewardBenchAndThreeDomainsOfRmBench) {
  const fs::path data = charm::test::kSourceDir + std::string("/../shared/data");
  if (!fs::exists(data / "reward_bench/filtered.jsonl.gz"))
    GTEST_SKIP() << "the shared data is not here";
  const std::vector<fs::path> reward_bench = {data / "reward_bench/filtered.jsonl.gz"};
  BenchmarkRows read = read_benchmark(reward_bench, kRewardBench, false);
  ASSERT_EQ(read.rows.size(), 2985u);
  for (ScoredEvalItem& row : read.rows) {  // longer is better
    row.score_chosen = {static_cast<double>(row.item.chosen[0].size())};
    row.score_rejected = {static_cast<double>(row.item.rejected[0].size())};
  }
  const results::Evaluation result =
      benchmark_result(Benchmark::kRewardBench, read.rows, {.num_replicates = 20});
  EXPECT_TRUE(result.incomplete->empty());
  EXPECT_TRUE(result.overall.find("overall"));

  std::vector<fs::path> rm_bench;
  for (const char* name : {"chat", "code", "safety-refuse", "safety-response"}) {
    rm_bench.push_back(data / "rm_bench" / (std::string(name) + "_filtered.json.gz"));
  }
  read = read_benchmark(rm_bench, kRmBench, false);
  EXPECT_EQ(read.rows.size(), 798u);
}

}  // namespace
}  // namespace charm::evaluate
