#include "charm/storage/row_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <zlib.h>

#include <nlohmann/json.hpp>

#include "tests/support/expect_error.h"
#include "tests/unit/base/temp_folder.h"

namespace charm::storage {
namespace {

using charm::testing::error_of;
using charm::testing::TempFolder;
using ::testing::HasSubstr;

/// Appends one gzip member.
void append_gzip(const std::filesystem::path& path, std::string_view content) {
  const gzFile file = ::gzopen(path.c_str(), "ab");
  ASSERT_NE(file, nullptr);
  ASSERT_EQ(::gzwrite(file, content.data(), static_cast<unsigned>(content.size())),
            static_cast<int>(content.size()));
  ASSERT_EQ(::gzclose(file), Z_OK);
}

std::vector<nlohmann::ordered_json> read_all(const fs::path& path,
                                             const ReadOptions& options = {}) {
  RowReader reader(path, options);
  std::vector<nlohmann::ordered_json> rows;
  while (const RowView* row = reader.next()) rows.push_back(row->to_json());
  reader.finish();
  return rows;
}

TEST(RowReader, JsonlWithBlankLinesCrLfAndNoFinalNewline) {
  const TempFolder folder;
  const auto rows = read_all(folder.file("a.jsonl", "\xEF\xBB\xBF{\"x\":1}\r\n\n  \n{\"x\":2}"));
  EXPECT_EQ(rows, (std::vector<nlohmann::ordered_json>{{{"x", 1}}, {{"x", 2}}}));
}

TEST(RowReader, LocationsCountLinesOfTheFile) {
  const TempFolder folder;
  RowReader reader(folder.file("a.jsonl", "\n{\"x\":1}\n\n{\"x\":2}\n"), {});
  ASSERT_NE(reader.next(), nullptr);
  EXPECT_THAT(reader.location(), HasSubstr("a.jsonl:2"));
  ASSERT_NE(reader.next(), nullptr);
  EXPECT_THAT(reader.location(), HasSubstr("a.jsonl:4"));
  EXPECT_EQ(reader.next(), nullptr);
}

TEST(RowReader, JsonArrayWithBracketsAndQuotesInsideTexts) {
  const TempFolder folder;
  const nlohmann::ordered_json expected = {{{"x", "a ] } , \" \\ ["}, {"y", {1, {{"z", nullptr}}}}},
                                           {{"x", "b"}}};
  for (const int indent : {-1, 2}) {
    EXPECT_EQ(nlohmann::ordered_json(
                  read_all(folder.file("a.json", " \n" + expected.dump(indent) + "\n "))),
              expected);
  }
}

TEST(RowReader, GzipOfSeveralMembers) {
  const TempFolder folder;
  append_gzip(folder / "a.jsonl.gz", "{\"x\":1}\n{\"x\"");
  append_gzip(folder / "a.jsonl.gz", ":2}\n");
  EXPECT_EQ(read_all(folder / "a.jsonl.gz").size(), 2u);
  append_gzip(folder / "array.gz", "[{\"x\":1},{\"x\":2},{\"x\":3}]");
  EXPECT_EQ(read_all(folder / "array.gz").size(), 3u);
}

TEST(RowReader, TruncatedGzipIsAnError) {
  const TempFolder folder;
  std::string text;
  for (int i = 0; i < 1000; ++i)
    text += nlohmann::ordered_json{{"x", i * 7919 % 1000}}.dump() + "\n";
  append_gzip(folder / "a.jsonl.gz", text);
  const std::string whole = read_file(folder / "a.jsonl.gz");
  folder.file("cut.jsonl.gz", whole.substr(0, whole.size() / 2));
  const Error error = error_of([&] { read_all(folder / "cut.jsonl.gz"); });
  EXPECT_EQ(error.kind(), ErrorKind::kInput);
  EXPECT_THAT(error.message(), HasSubstr("the gzip data is truncated"));
}

struct BadFile {
  const char* name;
  std::string content;
  const char* message;
};

class BadFiles : public ::testing::TestWithParam<BadFile> {};

TEST_P(BadFiles, AreInputErrors) {
  const TempFolder folder;
  const Error error = error_of([&] { read_all(folder.file(GetParam().name, GetParam().content)); });
  EXPECT_EQ(error.kind(), ErrorKind::kInput);
  EXPECT_THAT(error.message(), HasSubstr(GetParam().name));
  EXPECT_THAT(error.message(), HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    RowReader, BadFiles,
    ::testing::Values(
        BadFile{"empty.jsonl", "", "the file is empty"},
        BadFile{"blank.jsonl", "\n \n", "the file is empty"},
        BadFile{"none.json", "[]", "holds no rows"},
        BadFile{"a.jsonl", "{\"x\":1}\n{\"x\":}\n", "a.jsonl:2: broken JSON"},
        BadFile{"b.jsonl", "{\"x\":1}\n7\n", "b.jsonl:2: expected a JSON object, found number"},
        BadFile{"c.jsonl", "{\"x\":\"\xff\"}\n", "c.jsonl:1: invalid UTF-8 at byte 7"},
        BadFile{"d.jsonl", "{\"x\":\"\\ud800\"}\n", "d.jsonl:1: broken JSON"},
        BadFile{"e.jsonl", "{\"x\":NaN}\n", "NaN and Infinity are not JSON numbers"},
        BadFile{"f.jsonl", "{\"x\":-Infinity}\n", "NaN and Infinity are not JSON numbers"},
        BadFile{"g.jsonl", "{\"x\":1e999}\n", "g.jsonl:1: broken JSON"},
        BadFile{"a.json", "[{\"x\":1},{\"x\"", "a.json, row 2: the JSON array is not closed"},
        BadFile{"b.json", "[{\"x\":1},,{}]", "b.json, row 2: broken JSON"},
        BadFile{"c.json", "[{\"x\":1}] {}", "after the end of the JSON array"},
        BadFile{"d.json", "[{\"x\":1},]", "d.json, row 2: broken JSON"},
        BadFile{"h.jsonl", "{\"x\":\"\\ud800 half a pair\"}\n", "h.jsonl:1: broken JSON"},
        BadFile{"i.jsonl", "{\"x\":" + std::string(1000, '['), "nest deeper than 200 levels"},
        BadFile{"e.json", R"({"prompt":{"0":"a","1":"b"},"response":{"0":"x","1":"y"}})",
                "orient=\"records\", lines=True"},
        BadFile{"f.json", R"({"columns":["prompt"],"index":[0],"data":[["a"]]})",
                "holds a table column by column"},
        BadFile{"g.json", "{\n \"version\": 1,\n \"policies\": [], \"pairs\": []\n}\n",
                "g.json: is a result of charm measure, not rows; expected JSON lines"},
        BadFile{"j.jsonl", "\n{\n \"a\": 1\n}\n", "j.jsonl: is one JSON object, not rows"},
        BadFile{"k.jsonl", "{\n \"a\": 1\n", "k.jsonl:1: broken JSON"},
        BadFile{"a.csv", "x,y\na,b\nc\n", "Row #3: Expected 2 columns, got 1"},
        BadFile{"b.csv", "x,y\na,\xff\n", "b.csv: invalid UTF-8 at byte 7"},
        BadFile{"c.csv", "x,y\n", "holds no rows"},
        BadFile{"d.tsv", "x\ty\na\t\"b\" c\n", "d.tsv:2: text behind the closing quote"},
        BadFile{"e.csv", "x,y\na,\"b\nc,d\n",
                "e.csv:2: the quotes around a field are never closed"},
        BadFile{"lfs.parquet", "version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
                "is a pointer of Git LFS"},
        BadFile{"lfs.jsonl", "version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
                "git lfs pull"},
        BadFile{"a.parquet", "PAR1 and nothing else", "cannot be read as Parquet"},
        BadFile{"b.parquet", "{\"x\":1}", "has no Parquet header"},
        BadFile{"a.arrow", "\xff\xff\xff\xff\x10", "cannot be read as Parquet or Arrow"}));

TEST(RowReader, BadRowsAreCountedUpToTheLimit) {
  const TempFolder folder;
  const fs::path path = folder.file("a.jsonl", "{\"x\":1}\nbroken\n{\"x\":2}\n[]\n{\"x\":3}\n");
  EXPECT_EQ(read_all(path, {.max_bad_rows = 2}).size(), 3u);
  const Error error = error_of([&] { read_all(path, {.max_bad_rows = 1}); });
  EXPECT_THAT(error.message(), HasSubstr("a.jsonl:2: broken JSON"));
  EXPECT_THAT(error.message(), HasSubstr("first of 2 bad rows"));
}

TEST(RowReader, OnlyBadRowsIsAnErrorAtAnyLimit) {
  const TempFolder folder;
  const fs::path path = folder.file("a.jsonl", "broken\n");
  EXPECT_THAT(error_of([&] { read_all(path, {.max_bad_rows = 10}); }).message(),
              HasSubstr("none of its 1 rows"));
}

TEST(RowReader, MissingFileIsAnIoError) {
  const TempFolder folder;
  EXPECT_EQ(error_of([&] { read_all(folder / "absent.jsonl"); }).kind(), ErrorKind::kIo);
}

TEST(RowReader, APipeIsRejectedWithoutBlocking) {
  const TempFolder folder;
  ASSERT_EQ(::mkfifo((folder / "pipe.jsonl").c_str(), 0600), 0);
  EXPECT_ERROR(kIo, "is a pipe", read_all(folder / "pipe.jsonl"));
  EXPECT_ERROR(kIo, "is a pipe", read_file(folder / "pipe.jsonl"));
}

TEST(RowReader, AFolderWithoutADatasetIsRejected) {
  const TempFolder folder;
  folder.file("readme.txt", "x");
  EXPECT_THAT(error_of([&] { read_all(folder.path()); }).message(), HasSubstr("is not a dataset"));
}

TEST(RowReader, ASplitOfASingleFileIsRefused) {
  const TempFolder folder;
  const fs::path path = folder.file("a.jsonl", "{}\n");
  EXPECT_EQ(error_of([&] { read_all(path, {.split = "train"}); }).kind(), ErrorKind::kInput);
}

TEST(PolicyName, LosesFoldersAndExtensions) {
  EXPECT_EQ(policy_name_of("a/gemma-2b.jsonl.gz"), "gemma-2b");
  EXPECT_EQ(policy_name_of("vicuna-7b-v1.5.jsonl"), "vicuna-7b-v1.5");
  EXPECT_EQ(policy_name_of("vicuna-7b-v1.5"), "vicuna-7b-v1.5");
  EXPECT_EQ(policy_name_of("x.json.gz"), "x");
  EXPECT_EQ(policy_name_of("Llama-3.1.parquet"), "Llama-3.1");
}

}  // namespace
}  // namespace charm::storage
