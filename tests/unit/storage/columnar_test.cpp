// Files as `datasets`, pyarrow and pandas write them: tools/golden/make_storage_fixtures.py.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "charm/records/preference_pair.h"
#include "charm/records/response.h"
#include "charm/records/score.h"
#include "charm/storage/record_reader.h"
#include "charm/storage/row_reader.h"
#include "tests/support/source_dir.h"
#include "tests/unit/base/temp_folder.h"

namespace charm::storage {
namespace {

using charm::testing::error_of;
using ::testing::HasSubstr;

const fs::path kFixtures = charm::test::kSourceDir + std::string("/tests/data/storage");

// As in the script: NUL, byte order mark, line separator, an astral character, CR LF.
const std::string kOddText(
    "nul \x00 bom \xEF\xBB\xBF separator \xE2\x80\xA8 astral \xF0\x9F\xA7\xAA crlf \r\n end", 51);

void expect_questions(const std::vector<Response>& rows, const std::string& policy) {
  ASSERT_EQ(rows.size(), 5u);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Conversation prompt = {{"system", "Answer briefly."},
                                 {"user", fmt::format("Question {}?", i)}};
    EXPECT_EQ(rows[i].prompt, prompt);
    EXPECT_EQ(rows[i].prompt_id, prompt_id_of(prompt));
    EXPECT_EQ(rows[i].policy, policy);
    EXPECT_EQ(rows[i].response, i == 0 ? kOddText : fmt::format("Answer {}.", i));
  }
}

TEST(SavedDataset, ReadsAllShardsInOrder) {
  expect_questions(read_responses(kFixtures / "saved_dataset", {}), "saved_dataset");
  expect_questions(read_responses(kFixtures / "saved_dataset/", {.policy = "mine"}), "mine");
}

TEST(SavedDataset, AMissingShardIsNamed) {
  const charm::testing::TempFolder folder;
  fs::copy(kFixtures / "saved_dataset", folder / "copy");
  fs::remove(folder / "copy/data-00001-of-00002.arrow");
  const Error error = error_of([&] { read_responses(folder / "copy", {}); });
  EXPECT_EQ(error.kind(), ErrorKind::kInput);
  EXPECT_THAT(error.message(), HasSubstr("data-00001-of-00002.arrow"));
}

TEST(SavedDataset, ATruncatedShardIsAnError) {
  const charm::testing::TempFolder folder;
  fs::copy(kFixtures / "saved_dataset", folder / "copy");
  fs::resize_file(folder / "copy/data-00001-of-00002.arrow", 700);
  EXPECT_EQ(error_of([&] { read_responses(folder / "copy", {}); }).kind(), ErrorKind::kInput);
}

TEST(SavedDict, NeedsASplitAndReadsIt) {
  EXPECT_EQ(read_preferences(kFixtures / "saved_dict", {.split = "train"}).size(), 3u);
  const auto test = read_preferences(kFixtures / "saved_dict", {.split = "test"});
  ASSERT_EQ(test.size(), 1u);
  EXPECT_EQ(test[0].chosen, (Conversation{{"user", "Two plus two?"}, {"assistant", "Four."}}));
  EXPECT_EQ(test[0].rejected.back().content, "Five.");
  EXPECT_THAT(error_of([&] { read_preferences(kFixtures / "saved_dict", {}); }).message(),
              HasSubstr("'train', 'test'"));
  EXPECT_THAT(
      error_of([&] { read_preferences(kFixtures / "saved_dict", {.split = "dev"}); }).message(),
      HasSubstr("no split 'dev'"));
}

TEST(ParquetFolder, ShardsOfASplit) {
  expect_questions(read_responses(kFixtures / "hub_folder", {.split = "train"}), "hub_folder");
  EXPECT_EQ(read_responses(kFixtures / "hub_folder", {.split = "test"}).size(), 1u);
  EXPECT_THAT(error_of([&] { read_responses(kFixtures / "hub_folder", {}); }).message(),
              HasSubstr("--split"));
}

TEST(Columns, ReadsAllTextAndNumberTypes) {
  for (const char* name : {"types.parquet", "types.arrow"}) {
    const auto rows = read_scored_responses(kFixtures / name, {});
    ASSERT_EQ(rows.size(), 3u) << name;
    EXPECT_EQ(rows[0].response.prompt, (Conversation{{"user", "p0"}}));
    EXPECT_EQ(rows[1].response.response, "");
    EXPECT_EQ(rows[2].response.response, kOddText);
    EXPECT_EQ(rows[1].response.policy, "a");
    EXPECT_EQ(rows[2].response.policy, "b");
    EXPECT_EQ(rows[1].response.sample, 1);
    EXPECT_EQ(rows[0].score, 0.5f);
    EXPECT_EQ(rows[1].error, "too long");
    EXPECT_EQ(rows[2].score, -1.25f);
    EXPECT_EQ(rows[2].num_tokens, 5);
    EXPECT_TRUE(rows[1].truncated);
  }
}

TEST(Columns, MessagesStoredAsParallelLists) {
  EXPECT_EQ(read_responses(kFixtures / "sequences.parquet", {}).at(0).prompt,
            (Conversation{{"user", "p0"}}));
}

TEST(Columns, ScoresWithoutIdsGetThemFromThePrompt) {
  const auto scores = read_scores(kFixtures / "no_ids.parquet", {});
  ASSERT_EQ(scores.size(), 3u);
  EXPECT_EQ(scores[1].prompt_id, prompt_id_of({{"user", "p1"}}));
  EXPECT_EQ(scores[1].score, 1.0f);
  EXPECT_EQ(scores[1].policy, "no_ids");
}

TEST(Columns, NotANumberIsNamedByRow) {
  const Error error = error_of([&] { read_scores(kFixtures / "nan.parquet", {}); });
  EXPECT_EQ(error.kind(), ErrorKind::kInput);
  EXPECT_THAT(error.message(),
              HasSubstr("nan.parquet, row 2: column 'score': nan is not a finite number"));
}

TEST(Columns, MissingNumbersAsPandasWritesThem) {
  EXPECT_THAT(error_of([&] { read_scores(kFixtures / "pandas.parquet", {}); }).message(),
              HasSubstr("pandas.parquet, row 2: no score"));
  const auto kept = read_scores(kFixtures / "pandas.parquet", {.max_bad_rows = 1});
  ASSERT_EQ(kept.size(), 1u);
  EXPECT_EQ(kept[0].score, 1.5f);
  EXPECT_EQ(kept[0].sample, 0);
}

TEST(Columns, AMissingColumnListsThePresentOnes) {
  const Error error = error_of([&] { read_preferences(kFixtures / "types.parquet", {}); });
  EXPECT_EQ(error.kind(), ErrorKind::kInput);
  EXPECT_THAT(error.message(), HasSubstr("chosen"));
  EXPECT_THAT(error.message(), HasSubstr("columns: prompt, response, policy"));
}

TEST(Columns, ReadsOnlyRequestedColumns) {
  RowReader reader(kFixtures / "types.parquet", {}, {"score", "absent"});
  const RowView* row = reader.next();
  ASSERT_NE(row, nullptr);
  EXPECT_EQ(row->to_json(), nlohmann::ordered_json({{"score", 0.5}}));
}

}  // namespace
}  // namespace charm::storage
