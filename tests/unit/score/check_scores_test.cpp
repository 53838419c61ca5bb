#include "charm/score/check_scores.h"

#include <gmock/gmock.h>

#include "charm/base/error.h"
#include "charm/base/files.h"
#include "charm/records/score.h"
#include "tests/unit/base/temp_folder.h"

namespace charm::score {
namespace {

using charm::testing::TempFolder;
using ::testing::HasSubstr;

std::vector<Score> some_scores(const std::string& policy = "p") {
  std::vector<Score> rows;
  for (int i = 0; i < 5; ++i) {
    Score row;
    row.prompt_id = "id" + std::to_string(i);
    row.policy = policy;
    row.score = static_cast<float>(i) - 2.0f;
    rows.push_back(std::move(row));
  }
  return rows;
}

Score score_of(const Score& row, double difference) {
  Score score;
  score.prompt_id = row.prompt_id;
  score.policy = row.policy;
  score.score = static_cast<float>(row.score + difference);
  return score;
}

TEST(CompareScores, ToleranceIsRelativeToTheScore) {
  auto ours = some_scores();
  ours[4].score = 100.0f;
  std::vector<Score> theirs;
  for (const Score& row : ours) theirs.push_back(score_of(row, 0.0));
  theirs[4].score = 100.5f;  // 0.5 of 100: within 1 %
  theirs[0].score = -2.01f;  // 0.01 of 2: within 1 %
  EXPECT_TRUE(compare_scores(ours, theirs, 0.01).passed());
  theirs[2].score = 0.02f;  // 0.02 of max(1, 0.02)
  const ScoreCheck check = compare_scores(ours, theirs, 0.01);
  EXPECT_FALSE(check.passed());
  EXPECT_EQ(check.num_beyond, 1);
  EXPECT_EQ(check.worst.front().prompt_id, "id2");
  EXPECT_NEAR(check.largest_difference, 0.5, 1e-6);
  EXPECT_NEAR(check.spearman.value(), 1.0, 1e-12);
  EXPECT_THAT(check_text(check), HasSubstr("DIFFERENT: 1 of 5 rows beyond 0.01"));
}

TEST(CompareScores, CountsUnmatchedRows) {
  auto ours = some_scores();
  ours[0].error = "none";
  std::vector<Score> theirs;
  for (const Score& row : ours) theirs.push_back(score_of(row, 0.0));
  theirs[1].error = "none";
  theirs.pop_back();
  const ScoreCheck check = compare_scores(ours, theirs, 1e-4);
  EXPECT_EQ(check.num_compared, 2);
  EXPECT_EQ(check.num_only_here, 2);
  EXPECT_EQ(check.num_only_there, 1);
  EXPECT_TRUE(check.passed());
  EXPECT_FALSE(compare_scores(ours, {}, 1e-4).passed());
}

TEST(CheckScores, JoinsByKeyByIdOrByPosition) {
  const TempFolder folder;
  const auto ours = some_scores();
  std::string keyed, named, bare;
  for (int i = 4; i >= 0; --i) {
    const std::string score = std::to_string(i - 2);
    keyed += R"({"prompt_id": "id)" + std::to_string(i) + R"(", "policy": "p", "score": )" + score +
             "}\n";
    named += R"({"prompt_id": "id)" + std::to_string(i) + R"(", "score": )" + score + "}\n";
    bare = R"({"score": )" + score + "}\n" + bare;
  }
  write_file(folder / "keyed.jsonl", keyed);
  write_file(folder / "theirs.jsonl", named);
  write_file(folder / "bare.jsonl", bare);
  for (const auto& [file, joined_by] :
       std::vector<std::pair<std::string, std::string>>{{"keyed.jsonl", "policy and prompt_id"},
                                                        {"theirs.jsonl", "prompt_id"},
                                                        {"bare.jsonl", "row"}}) {
    const ScoreCheck check = check_scores(ours, {folder / file}, 1e-4);
    EXPECT_TRUE(check.passed()) << file;
    EXPECT_EQ(check.num_compared, 5) << file;
    EXPECT_EQ(check.joined_by, joined_by) << file;
  }
}

TEST(CheckScores, RowsThatCannotBeJoinedAreAnError) {
  const TempFolder folder;
  write_file(folder / "short.jsonl", "{\"score\": 1}\n");
  write_file(folder / "other.jsonl", "{\"prompt_id\": \"elsewhere\", \"score\": 1}\n");
  for (const auto& [file, part] : std::vector<std::pair<std::string, std::string>>{
           {"short.jsonl", "has 1 rows and 5 were scored"},
           {"other.jsonl", "its policies: other; here: p"}}) {
    try {
      check_scores(some_scores(), {folder / file}, 1e-4);
      FAIL() << file;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kInput);
      EXPECT_THAT(error.message(), HasSubstr(part));
    }
  }
}

}  // namespace
}  // namespace charm::score
