// Tests on real prompts, if ../shared/data exists.

#include <gtest/gtest.h>

#include <set>

#include "charm/prepare/prepare.h"
#include "charm/records/response.h"
#include "charm/storage/record_reader.h"
#include "tests/support/source_dir.h"
#include "tests/unit/base/temp_folder.h"

namespace charm::prepare {
namespace {

using charm::testing::TempFolder;

class RealPrompts : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!fs::exists(data))
      GTEST_SKIP() << "needs real data in " << data << ", which is not part of the repository";
  }
  fs::path data = fs::path(charm::test::kSourceDir) / "../shared/data";
  TempFolder folder;
};

/// 290 rows of RewardBench use prompts of AlpacaEval.
TEST_F(RealPrompts, DropsRewardBenchPromptsFromAlpacaEval) {
  PrepareOptions options;
  options.input = data / "alpaca_eval/gpt-4o-mini-2024-07-18.jsonl.gz";
  options.output = folder / "prompts.parquet";
  options.exclude = {data / "reward_bench/filtered.jsonl.gz"};
  const PrepareResult result = prepare(options);
  std::set<std::string> benchmark;
  for (const Prompt& prompt : storage::read_prompts(options.exclude.front(), {}))
    benchmark.insert(prompt.messages.back().content);
  std::int64_t num_equal = 0;
  for (const Prompt& prompt : storage::read_prompts(options.input, {}))
    num_equal += static_cast<std::int64_t>(benchmark.count(prompt.messages.back().content));
  EXPECT_EQ(result.num_read, 805);
  // Counted independently in Python: 101 equal texts, 1 equal after normalization, 20 with half of
  // the word 8-grams in common (questions from one template: "... Try to explain your answer. Your
  // explanation should ...").
  EXPECT_EQ(num_equal, 101);
  EXPECT_EQ(result.num_excluded, 122);
  for (const Prompt& prompt : storage::read_prompts(options.output, {}))
    EXPECT_EQ(benchmark.count(prompt.messages.back().content), 0u);
  EXPECT_EQ(result.num_written, 805 - result.num_excluded);
}

TEST_F(RealPrompts, PairsRepeatTheirPromptsAndNearDuplicatesAreFew) {
  PrepareOptions options;
  options.input = data / "preference/test.jsonl.gz";
  options.output = folder / "prompts.parquet";
  options.near_duplicates = 0.8;
  const PrepareResult result = prepare(options);
  EXPECT_EQ(result.num_read, 5624);
  EXPECT_EQ(result.num_duplicates, 5624 - 105);
  EXPECT_LE(result.num_near_duplicates, 3);
  EXPECT_EQ(result.num_written, 105 - result.num_near_duplicates);
}

TEST_F(RealPrompts, RmBenchFilesAreReadAsBenchmarks) {
  PrepareOptions options;
  options.input = data / "reward_bench/filtered.jsonl.gz";
  options.output = folder / "prompts.parquet";
  options.dedupe = true;
  options.exclude = {data / "rm_bench/chat_filtered.json.gz",
                     data / "rm_bench/code_filtered.json.gz"};
  const PrepareResult result = prepare(options);
  EXPECT_GT(result.num_excluded, 100);  // every prompt of RM-Bench code is one of RewardBench
}

}  // namespace
}  // namespace charm::prepare
