// Files of formats that are not read, by their first bytes as the tools named write them, and JSON
// and CSV that are no rows: each refusal says what the file is and what to do.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "charm/records/response.h"
#include "charm/storage/byte_stream.h"
#include "charm/storage/ratings.h"
#include "charm/storage/record_reader.h"
#include "tests/support/expect_error.h"
#include "tests/unit/base/temp_folder.h"

namespace charm::storage {
namespace {

using namespace std::string_literals;
using charm::testing::TempFolder;

struct Foreign {
  std::string name;
  std::string content;
  std::string refusal;
};

std::vector<Foreign> foreign_files() {
  const std::string tar = "a.jsonl"s + std::string(250, '\0') + "ustar\0"s + std::string(250, '\0');
  return {{"a.jsonl.zst", "\x28\xB5\x2F\xFD\x04\x00", "compressed with Zstandard"},  // zstd 1.5
          {"a.csv.zst", "\x28\xB5\x2F\xFD\x24\x00", "compressed with Zstandard"},    // duckdb 2.0.1
          {"a.jsonl.bz2", "BZh91AY&SY", "compressed with bzip2"},                    // pandas 3.1
          {"a.jsonl.xz",
           "\xFD"
           "7zXZ\0\0\x04"s,
           "compressed with xz"},                                          // pandas 3.1
          {"a.jsonl.lz4", "\x04\x22\x4D\x18\x64", "compressed with LZ4"},  // lz4 1.9
          {"a.zip", "PK\x03\x04\x14", "a zip archive or a spreadsheet"},   // pandas 3.1
          {"a.xlsx", "PK\x03\x04\x14", "save the sheet as CSV"},           // openpyxl
          {"a.jsonl.tar", tar, "a tar archive"},                           // pandas 3.1
          {"a.avro", "Obj\x01\x04\x16", "an Avro file"},                   // polars 2.1
          {"a.orc", "ORC\x08\x03", "an ORC file"},                         // pyarrow 26
          {"a.feather", "FEA1\0\0\0\0"s,
           "a Feather file of version 1, which is not read; write version 2"},
          {"a.parquet", "PARE\x15\x04", "an encrypted Parquet file"},
          {"a.db", "SQLite format 3\0"s, "an SQLite database"},
          {"a.duckdb", "12345678DUCK", "a DuckDB database"},
          {"a.h5", "\x89HDF\r\n\x1a\n", "an HDF5 file"},
          {"a.pkl", "\x80\x05\x95\xd1", "a pickle (a program, not data)"},  // pandas 3.1
          {"a16.jsonl", "\xFF\xFE{\0"s, "text in UTF-16, which is not read; write it as UTF-8"},
          {"a16.csv", "\xFE\xFF\0p"s, "text in UTF-16"},
          {"a32.jsonl", "\xFF\xFE\0\0{\0\0\0"s, "text in UTF-32"},
          {"a.json", "<!DOCTYPE html><html>", "a web page"},
          {"a.html", "<table border=\"1\"", "a table in HTML"},  // pandas 3.1
          {"a.xml", "<?xml version='1.0'?>", "an XML file"},
          {"a.parquet.gz", "\x1F\x8B\x08", "is compressed as a whole"}};
}

TEST(ForeignFormats, AreRefusedByName) {
  const TempFolder folder;
  for (const Foreign& foreign : foreign_files()) {
    SCOPED_TRACE(foreign.name);
    const auto path = folder.file(foreign.name, foreign.content);
    EXPECT_ERROR(kInput, path.string() + ": is ", read_responses(path, {}));
    EXPECT_ERROR(kInput, foreign.refusal, read_responses(path, {}));
  }
}

TEST(ForeignFormats, AreRefusedAsRatings) {
  const TempFolder folder;
  for (const Foreign& foreign : foreign_files()) {
    if (foreign.name.ends_with(".parquet.gz")) continue;  // gzip is read
    SCOPED_TRACE(foreign.name);
    EXPECT_ERROR(kInput, foreign.refusal,
                 read_ratings(folder.file(foreign.name, foreign.content), {}));
  }
}

TEST(ForeignFormats, RatingsMayBeCompressedWithGzipAndAreNoPointers) {
  const TempFolder folder;
  write_file(folder / "r.json.gz", gzip_bytes(R"({"a": 1200, "b": 1100})", 9));
  EXPECT_EQ(read_ratings(folder / "r.json.gz", {}).size(), 2u);
  write_file(
      folder / "r.jsonl.gz",
      gzip_bytes("{\"model\": \"a\", \"rating\": 1200}\n{\"model\": \"b\", \"rating\": 1100}\n",
                 9));
  EXPECT_EQ(read_ratings(folder / "r.jsonl.gz", {}).at(1).rating_elo, 1100);
  EXPECT_ERROR(
      kInput, "is a pointer of Git LFS",
      read_ratings(folder.file("r.json", "version https://git-lfs.github.com/spec/v1\n"), {}));
}

TEST(ForeignFormats, ObjectsThatHoldTheRowsAreNoRows) {
  const TempFolder folder;
  const auto read = [&](const std::string& text) {
    return read_responses(folder.file("a.json", text), {});
  };
  const std::string row = R"({"prompt": "a", "response": "b"})";
  EXPECT_ERROR(kInput, "holds its rows in the member 'data' of one object",
               read(R"({"schema": {"fields": []}, "data": [)" + row + "]}"));  // orient="table"
  EXPECT_ERROR(kInput, "jq -c '.rows[]'", read(R"({"rows": [{"row": )" + row + "}]}"));
  EXPECT_ERROR(kInput, "to_json(orient=\"index\")",
               read(R"({"0": )" + row + R"(, "1": )" + row + "}"));
  EXPECT_ERROR(kInput, "column by column",
               read(R"({"prompt": {"0": "a"}, "response": {"0": "b"}})"));
  EXPECT_EQ(read(R"({"prompt": "a", "response": "b", "data": [{"x": 1}]})").size(), 1u)
      << "a column of this name";
}

TEST(ForeignFormats, RowsOfPublishedLayoutsWithoutPromptAndResponseAreToldWhatToWrite) {
  const TempFolder folder;
  const auto refused = [&](const std::string& row, const std::string& advice) {
    EXPECT_ERROR(kInput, advice, read_responses(folder.file("a.jsonl", row + "\n"), {}));
  };
  // OpenAI and vLLM run-batch; Anthropic; lm-evaluation-harness 0.4; FastChat; OASST; Gemini;
  // OpenAI's preference fine-tuning; UltraFeedback; Nectar; verl; distilabel; inspect_ai.
  refused(R"({"id": "b", "custom_id": "1", "response": {"status_code": 200, "body": {}}})",
          "column 'response' holds no response; they are results of a batch API: join them with");
  refused(R"({"custom_id": "1", "result": {"type": "succeeded", "message": {}}})",
          "result.message.content as response");
  refused(R"({"doc_id": 0, "doc": {}, "arguments": {}, "resps": [["a"]], "filter": "none"})",
          "resps[0][0] as response");
  refused(R"({"question_id": 81, "answer_id": "a", "choices": [{"turns": ["a"]}]})",
          "join them with the questions on question_id");
  refused(R"({"question_id": 1, "text": "a", "answer_id": "a", "metadata": {}})",
          "they are answers to questions of another file");
  refused(R"({"message_id": "a", "parent_id": "b", "text": "c", "role": "assistant"})",
          "each is one message of a tree");
  refused(R"({"contents": [{"role": "model", "parts": [{"text": "a"}]}]})",
          "role (model: assistant)");
  refused(R"({"input": {}, "preferred_output": [], "non_preferred_output": []})",
          "preferred_output as chosen");
  refused(R"({"instruction": "a", "completions": [{"model": "m", "response": "b"}]})",
          "completions of several policies: write a row for each");
  refused(R"({"prompt": "a", "answers": [{"answer": "b", "model": "m"}]})",
          "if each holds several answers");
  refused(R"({"prompt": "a", "responses": ["b", "c"]})", "numbered in a column 'sample'");
  refused(R"({"instruction": "a", "generations": ["b", "c"]})", "numbered in a column 'sample'");
  refused(R"({"version": 2, "eval": {}, "samples": [{"id": 1, "messages": []}]})",
          "holds its rows in the member 'samples' of one object");
}

TEST(ForeignFormats, TextsThatAreNoJsonLinesSayWhatTheyAre) {
  const TempFolder folder;
  const auto read = [&](const std::string& text) {
    return read_responses(folder.file("a.jsonl", text), {});
  };
  EXPECT_ERROR(kInput, "the object does not end on its line: write a row a line, as jq -c . does",
               read("{\n \"prompt\": \"a\",\n \"response\": \"b\"\n}\n{\n \"prompt\": \"c\"\n}\n"));
  EXPECT_ERROR(kInput, "Python's text of a dict is no JSON", read("{'prompt': 'a'}\n"));
}

TEST(ForeignFormats, AnotherSeparatorIsNamed) {
  const TempFolder folder;
  const auto read = [&](const std::string& name, const std::string& text) {
    return read_responses(folder.file(name, text), {});
  };
  EXPECT_ERROR(kInput, "separated by semicolons, expected commas; write it with commas",
               read("a.csv", "prompt;response\r\na;b\r\n"));
  EXPECT_ERROR(kInput, "separated by tabs, expected commas; name it .tsv",
               read("a.csv", "prompt\tresponse\na\tb\n"));
  EXPECT_ERROR(kInput, "separated by bars, expected commas",
               read("a.csv", "prompt|response\na|b\n"));
  EXPECT_ERROR(kInput, "separated by commas, expected tabs; name it .csv",
               read("a.tsv", "prompt,response\na,b\n"));
  EXPECT_EQ(read("a.csv", "prompt,response\n\"x\",y;z\n").front().response, "y;z");
}

}  // namespace
}  // namespace charm::storage
