#include "charm/storage/manifest.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

#include "charm/base/hashing.h"
#include "tests/unit/base/temp_folder.h"

namespace charm::storage {
namespace {

using charm::testing::TempFolder;

TEST(Manifest, RecordsTheProvenanceOfAnOutput) {
  const TempFolder folder;
  const fs::path input = folder.file("in.jsonl", "{}\n");
  const fs::path output = folder.file("out.parquet", "x");
  Manifest manifest("score");
  manifest.option("max-tokens", 4096)
      .seed(7)
      .input(input, 1)
      .output(output, 2)
      .extra("num_errors", 0);
  write_manifest(output, manifest);
  const auto json = nlohmann::ordered_json::parse(read_file(folder / "out.parquet.manifest.json"));
  EXPECT_EQ(json["program"], "charm");
  EXPECT_EQ(json["command"], "score");
  EXPECT_EQ(json["options"]["max-tokens"], 4096);
  EXPECT_EQ(json["seed"], 7);
  EXPECT_EQ(json["inputs"][0]["sha256"], sha256_hex("{}\n"));
  EXPECT_EQ(json["inputs"][0]["num_rows"], 1);
  EXPECT_EQ(json["outputs"][0]["num_rows"], 2);
  EXPECT_EQ(json["num_errors"], 0);
  EXPECT_FALSE(json["version"].get<std::string>().empty());
}

TEST(Manifest, IsWrittenIntoAFolderOutput) {
  const TempFolder folder;
  write_manifest(folder.path(), Manifest("train"));
  EXPECT_EQ(folder.names(), std::vector<std::string>{"manifest.json"});
}

TEST(Manifest, SeveralWritersAddToOneWithoutLosingEntries) {
  const TempFolder folder;
  constexpr int kWriters = 8, kEntries = 10;
  std::vector<std::thread> writers;
  for (int w = 0; w < kWriters; ++w) {
    writers.emplace_back([&] {
      for (int i = 0; i < kEntries; ++i) {
        update_manifest(folder.path(), [](const nlohmann::ordered_json& present) {
          return nlohmann::ordered_json{
              {"count", present.is_null() ? 1 : 1 + present["count"].get<int>()}};
        });
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(read_manifest(folder.path())["count"], kWriters * kEntries);
  EXPECT_EQ(folder.names(), std::vector<std::string>{"manifest.json"});
}

TEST(Manifest, TheFingerprintDependsOnOptionsAndContentNotNames) {
  const TempFolder folder;
  const fs::path a = folder.file("a", "same");
  const fs::path b = folder.file("b", "same");
  const fs::path c = folder.file("c", "other");
  const auto fingerprint = [](const fs::path& input, int option, std::uint64_t seed) {
    Manifest manifest("score");
    manifest.option("x", option).seed(seed).input(input);
    return manifest.fingerprint();
  };
  EXPECT_EQ(fingerprint(a, 1, 1), fingerprint(b, 1, 1));
  EXPECT_NE(fingerprint(a, 1, 1), fingerprint(c, 1, 1));
  EXPECT_NE(fingerprint(a, 1, 1), fingerprint(a, 2, 1));
  EXPECT_NE(fingerprint(a, 1, 1), fingerprint(a, 1, 2));
  EXPECT_NE(Manifest("score").fingerprint(), Manifest("train").fingerprint());
  const Manifest manifest = [&] {
    Manifest made("score");
    made.option("x", 1).input(a);
    return made;
  }();
  EXPECT_EQ(fingerprint_of(manifest.to_json()), manifest.fingerprint());
}

TEST(Manifest, AFolderHashesByNamesAndContents) {
  const TempFolder folder;
  folder.file("m/config.json", "{}");
  folder.file("m/deep/w", "1");
  const std::string before = sha256_of_path(folder / "m");
  EXPECT_EQ(sha256_of_path(folder / "m"), before);
  folder.file("m/deep/w", "2");
  EXPECT_NE(sha256_of_path(folder / "m"), before);
  EXPECT_EQ(charm::testing::error_of([&] { sha256_of_path(folder / "absent"); }).kind(),
            ErrorKind::kIo);
}

}  // namespace
}  // namespace charm::storage
