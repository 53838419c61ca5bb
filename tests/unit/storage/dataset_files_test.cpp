#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "charm/storage/row_reader.h"
#include "tests/unit/base/temp_folder.h"

namespace charm::storage {
namespace {

using charm::testing::error_of;
using charm::testing::TempFolder;
using ::testing::HasSubstr;

// The policy of every row of a folder, in reading order.
std::vector<std::string> policies_of(const fs::path& folder) {
  std::vector<std::string> policies;
  RowReader reader(folder, {});
  while (const RowView* row = reader.next()) {
    const Value policy = (*row)["policy"];
    policies.push_back(policy.is_null() ? reader.policy_name() : std::string(policy.text()));
  }
  return policies;
}

TEST(FolderOfParts, PartsAreOnePolicyAndOtherNamesTheirOwn) {
  using Names = std::vector<std::string>;
  const std::string row = "{\"x\":1}\n";
  for (const char* part :
       {"part-00000-6f0e4d2c-1b1e-4c0e-9b57-1f8d6a4a0f2e-c000", "part-0", "part.0", "data_0",
        "0000", "data-00000-of-00001", "6f0e4d2c1b1e4c0e9b571f8d6a4a0f2e-0"}) {
    const TempFolder folder;
    fs::create_directory(folder / "gemma");
    folder.file(std::string("gemma/") + part + ".jsonl", row);
    folder.file("gemma/_SUCCESS", "");
    folder.file("gemma/_metadata.jsonl", row);
    folder.file("gemma/.part-0.jsonl.crc", "x");
    folder.file("gemma/manifest.json", "{}");
    folder.file("gemma/part-0.jsonl.manifest.json", "{}");
    EXPECT_EQ(policies_of(folder / "gemma"), Names{"gemma"}) << part;
  }
  for (const char* extension : {"csv", "tsv"}) {
    const TempFolder folder;
    fs::create_directory(folder / "gemma");
    for (const char* part : {"part-00000-6f0e4d2c-1b1e-4c0e-9b57-1f8d6a4a0f2e-c000", "part-00001"})
      folder.file(fmt::format("gemma/{}.{}", part, extension), "x\n1\n");
    folder.file("gemma/_SUCCESS", "");
    EXPECT_EQ(policies_of(folder / "gemma"), (Names{"gemma", "gemma"})) << extension;
    // A table of another format beside JSON lines is no part.
    folder.file("gemma/part-00002.jsonl", row);
    EXPECT_EQ(policies_of(folder / "gemma"), Names{"gemma"}) << extension;
  }
  const TempFolder folder;
  folder.file("gemma-2b.jsonl", row);
  folder.file("llama-7b.jsonl", row);
  folder.file("7b-chat.jsonl", row);
  EXPECT_EQ(policies_of(folder.path()), (Names{"7b-chat", "gemma-2b", "llama-7b"}));
}

TEST(FolderOfParts, HiveFoldersGiveColumns) {
  const TempFolder folder;
  for (const char* name : {"policy=a%20b", "policy=c", "policy=__HIVE_DEFAULT_PARTITION__"})
    fs::create_directory(folder / name);
  folder.file("policy=a%20b/part-0.jsonl", "{\"x\":1}\n");
  folder.file("policy=c/part-0.jsonl", "{\"x\":2}\n{\"x\":3,\"policy\":\"own\"}\n");
  const fs::path whole = fs::absolute(folder.path());
  EXPECT_EQ(policies_of(folder.path()), (std::vector<std::string>{"a b", "c", "own"}));
  folder.file("policy=__HIVE_DEFAULT_PARTITION__/part-0.jsonl", "{\"x\":1}\n");
  EXPECT_EQ(policies_of(folder.path()).front(), whole.filename().string());
}

TEST(FolderOfParts, AnEmptySplitIsNamed) {
  const TempFolder folder;
  folder.file("state.json", R"({"_data_files": [], "_split": "test"})");
  EXPECT_THAT(error_of([&] { policies_of(folder.path()); }).message(),
              HasSubstr("the split is empty"));
}

}  // namespace
}  // namespace charm::storage
