#include "charm/pipeline/split.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "charm/base/error.h"
#include "charm/records/conversation.h"
#include "charm/records/response.h"
#include "charm/storage/record_reader.h"
#include "charm/storage/record_writer.h"
#include "tests/support/expect_error.h"
#include "tests/unit/base/temp_folder.h"

namespace charm::pipeline {
namespace {

using ::testing::HasSubstr;

Conversation question(int i) { return {{"user", "question " + std::to_string(i)}}; }

std::vector<Response> responses(const std::string& policy, int count) {
  std::vector<Response> rows;
  for (int i = 0; i < count; ++i) {
    Response row;
    row.prompt = question(i);
    row.prompt_id = prompt_id_of(row.prompt);
    row.response = policy + " says " + std::to_string(i);
    row.policy = policy;
    rows.push_back(row);
  }
  return rows;
}

TEST(HoldOut, TakesAboutTheShareAndDependsOnTheSeedAlone) {
  int held_out = 0, moved = 0;
  for (int i = 0; i < 2000; ++i) {
    const bool now = is_held_out(question(i), 1, 0.3);
    EXPECT_EQ(now, is_held_out(question(i), 1, 0.3));
    held_out += now ? 1 : 0;
    moved += now != is_held_out(question(i), 2, 0.3) ? 1 : 0;
    EXPECT_TRUE(now || !is_held_out(question(i), 1, 0.1)) << "a larger share holds the smaller one";
  }
  EXPECT_NEAR(held_out, 600, 70);
  EXPECT_GT(moved, 500);
  EXPECT_FALSE(is_held_out(question(0), 1, 0.0));
}

TEST(SplitScores, DividesEveryRowByItsPrompt) {
  const testing::TempFolder dir;
  std::vector<ScoredResponse> rows;
  for (const Response& row : responses("a", 100))
    rows.push_back(
        {.response = row, .score = 1.0f, .num_tokens = 3, .truncated = false, .error = {}});
  storage::write_scores(dir / "a.parquet", rows);
  const std::vector<SplitFile> files = {
      {dir / "a.parquet", dir / "fit/a.parquet", dir / "held/a.parquet"}};
  split_scores(files, 5, 0.25, dir / "facts.json");
  const auto fit = storage::read_scored_responses(dir / "fit/a.parquet", {});
  const auto held = storage::read_scored_responses(dir / "held/a.parquet", {});
  EXPECT_EQ(fit.size() + held.size(), 100u);
  EXPECT_GT(held.size(), 10u);
  for (const auto& row : held) EXPECT_TRUE(is_held_out(row.response.prompt, 5, 0.25));
  EXPECT_THAT(read_file(dir / "facts.json"),
              HasSubstr("\"num_prompts_held_out\": " + std::to_string(held.size())));
}

TEST(SplitScores, AnEmptySideIsAnError) {
  const testing::TempFolder dir;
  std::vector<ScoredResponse> rows;
  for (const Response& row : responses("a", 3))
    rows.push_back(
        {.response = row, .score = 1.0f, .num_tokens = 3, .truncated = false, .error = {}});
  storage::write_scores(dir / "a.parquet", rows);
  const std::vector<SplitFile> files = {
      {dir / "a.parquet", dir / "fit.parquet", dir / "held.parquet"}};
  EXPECT_ERROR(kInput, "leaves 3 rows to fit on and 0 to check on",
               split_scores(files, 5, 1e-9, dir / "facts.json"));
}

TEST(ImportResponses, GivesThePolicyItsNameAndKeepsTheChosenPrompts) {
  const testing::TempFolder dir;
  storage::write_responses(dir / "raw.jsonl", responses("raw", 10));
  std::vector<Prompt> prompts;
  for (int i = 0; i < 4; ++i) prompts.push_back({prompt_id_of(question(i)), question(i)});
  storage::write_prompts(dir / "prompts.parquet", prompts);
  import_responses(dir / "raw.jsonl", {}, "nice name", dir / "prompts.parquet",
                   dir / "out.parquet");
  const auto rows = storage::read_responses(dir / "out.parquet", {});
  ASSERT_EQ(rows.size(), 4u);
  for (const Response& row : rows) EXPECT_EQ(row.policy, "nice name");
}

TEST(ImportResponses, TakesOneOfSeveralPoliciesByName) {
  const testing::TempFolder dir;
  std::vector<Response> rows = responses("a", 3);
  for (const Response& row : responses("b", 3)) rows.push_back(row);
  storage::write_responses(dir / "both.parquet", rows);
  import_responses(dir / "both.parquet", {}, "b", "", dir / "b.parquet");
  EXPECT_EQ(storage::read_responses(dir / "b.parquet", {}).size(), 3u);
  try {
    import_responses(dir / "both.parquet", {}, "c", "", dir / "c.parquet");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    EXPECT_THAT(error.message(), HasSubstr("none named 'c'"));
  }
}

}  // namespace
}  // namespace charm::pipeline
