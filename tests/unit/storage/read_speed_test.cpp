#include <gtest/gtest.h>

#include "charm/records/response.h"
#include "charm/records/score.h"
#include "charm/storage/record_reader.h"
#include "charm/storage/record_writer.h"
#include "tests/unit/base/temp_folder.h"

namespace charm::storage {
namespace {

// Does not assert time but its cause: text columns are not read, so read_scores must ignore a
// corrupt one.
TEST(ReadScores, DoesNotReadTheTextsOfColumnarFiles) {
  const charm::testing::TempFolder folder;
  std::vector<ScoredResponse> rows(20000);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    rows[i].response.prompt_id = fmt::format("{:016x}", i * 0x9e3779b97f4a7c15u);
    rows[i].response.prompt = {{"user", fmt::format("question {}", i)}};
    rows[i].response.response = std::string(200, static_cast<char>('a' + i % 26));
    rows[i].response.policy = "p";
    rows[i].score = static_cast<float>(i) * 0.25f;
  }
  // Invalid UTF-8, an error for everything that reads texts.
  rows[123].response.response.back() = '\xff';
  const fs::path path = folder / "p.parquet";
  write_scores(path, rows);
  const auto scores = read_scores(path, {});
  ASSERT_EQ(scores.size(), rows.size());
  EXPECT_EQ(scores[19999].score, 19999 * 0.25f);
  EXPECT_EQ(scores[123].prompt_id, rows[123].response.prompt_id);
  EXPECT_EQ(charm::testing::error_of([&] { read_scored_responses(path, {}); }).kind(),
            ErrorKind::kInput);
}

}  // namespace
}  // namespace charm::storage
