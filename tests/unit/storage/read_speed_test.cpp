#include <gtest/gtest.h>

#include "charm/storage/record_reader.h"
#include "charm/storage/record_writer.h"
#include "tests/unit/base/temp_folder.h"

namespace charm::storage {
namespace {

// Time is not asserted; the property behind it is: texts stay unread. A damaged text column must
// not matter to read_scores.
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
  // The last byte of a text becomes invalid UTF-8, which readers of texts refuse.
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
