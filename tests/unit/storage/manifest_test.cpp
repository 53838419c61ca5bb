#include "charm/storage/manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

#include "charm/base/hashing.h"
#include "tests/unit/base/temp_folder.h"

namespace charm::storage {
namespace {

using charm::testing::TempFolder;

struct Seeded {
  std::uint64_t seed = 0;
};
void describe_seed(OptionTable& table, Seeded& options) {
  table.integer("seed", options.seed, "S", "");
}

TEST(Manifest, RecordsTheProvenanceOfAnOutput) {
  const TempFolder folder;
  const fs::path input = folder.file("in.jsonl", "{}\n");
  const fs::path output = folder.file("out.parquet", "x");
  Manifest manifest("score");
  manifest.options(Seeded{7}, describe_seed)
      .option("max-tokens", 4096)
      .input(input, 1)
      .output(output, 2)
      .extra("num_errors", 0);
  write_manifest(output, manifest);
  const auto json =
      nlohmann::ordered_json::parse(read_file(folder / ".charm/out.parquet.manifest.json"));
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
    manifest.options(Seeded{seed}, describe_seed).option("x", option).input(input);
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

struct Settings {
  std::int64_t limit = 5;
  std::string category;
  int threads = 0;
  std::uint64_t seed = 0;
  fs::path file;
};

void describe(OptionTable& table, Settings& s) {
  table.integer("limit", s.limit, "N", "Limit.")
      .text("category", s.category, "NAME", "Category.")
      .integer("threads", s.threads, "N", "Threads.")
      .integer("seed", s.seed, "S", "Seed.")
      .path("file", s.file, "FILE", "File.")
      .without_effect({"threads"});
}

Manifest manifest_of(const Settings& settings) {
  Manifest manifest("measure");
  manifest.options(settings, describe);
  return manifest;
}

TEST(Manifest, TakesItsOptionsFromTheTable) {
  const Settings settings{.limit = 7, .category = "coding", .threads = 3, .seed = 9, .file = "f"};
  const auto json = manifest_of(settings).to_json();
  EXPECT_EQ(json["options"],
            nlohmann::ordered_json::parse(R"({"limit": 7, "category": "coding"})"));
  EXPECT_EQ(json["seed"], 9);
  Manifest resolved = manifest_of(settings);
  resolved.option("limit", 6);
  EXPECT_EQ(resolved.to_json()["options"]["limit"], 6);
}

TEST(Manifest, MatchesAnOutputOfTheSameRun) {
  const TempFolder folder;
  const fs::path output = folder.file("out.json", "{}");
  const fs::path input = folder.file("in", "x");
  const auto manifest = [&](const Settings& settings) {
    Manifest made = manifest_of(settings);
    made.input(input);
    return made;
  };
  EXPECT_FALSE(manifest({}).matches(output)) << "there is no manifest";
  write_manifest(output, manifest({}).output(output, 3).extra("num_errors", 0));
  EXPECT_TRUE(manifest({}).matches(output));
  EXPECT_TRUE(manifest({.threads = 8}).matches(output));
  EXPECT_FALSE(manifest({.limit = 6}).matches(output));
  EXPECT_FALSE(manifest({.category = "coding"}).matches(output));
  EXPECT_FALSE(manifest({.seed = 1}).matches(output));
  EXPECT_FALSE(manifest_of({}).matches(output)) << "one input less";
  EXPECT_FALSE(manifest({}).option("fact", 1).matches(output)) << "not known to be so";
  write_file(input, "y");
  EXPECT_FALSE(manifest({}).matches(output));
  write_file(input, "x");
  write_file(manifest_path(output), "[]");
  EXPECT_FALSE(manifest({}).matches(output));
  write_manifest(output, Manifest("calibrate"));
  EXPECT_FALSE(manifest({}).matches(output));
}

TEST(Manifest, SaysWhatDiffersFromARecordedRun) {
  const TempFolder folder;
  const fs::path input = folder.file("in", "x");
  const auto manifest = [&](const Settings& settings) {
    Manifest made = manifest_of(settings);
    made.input(input);
    return made;
  };
  const auto differences = [](const Manifest& here, const Manifest& there) {
    return here.differences(there.to_json());
  };
  EXPECT_THAT(differences(manifest({}), manifest({.threads = 3})), ::testing::IsEmpty());
  EXPECT_THAT(
      differences(manifest({.limit = 6, .category = "math", .seed = 2}), manifest({})),
      ::testing::ElementsAre("--seed 0, here 2", "--category '', here math", "--limit 5, here 6"));
  EXPECT_THAT(differences(manifest({}), manifest({}).option("fact", 1.5)),
              ::testing::ElementsAre("--fact 1.5, here unset"));
  EXPECT_THAT(differences(manifest({}), manifest_of({})),
              ::testing::ElementsAre("0 inputs, here 1"));
  const Manifest before = manifest({});
  write_file(input, "y");
  EXPECT_THAT(differences(manifest({}), before),
              ::testing::ElementsAre(input.string() + ": other content"));
  EXPECT_THAT(manifest({}).differences("text"), ::testing::ElementsAre("no manifest"));
}

TEST(Manifest, AnOptionThatAnOlderManifestLacksWasLeftAtItsDefault) {
  const TempFolder folder;
  const fs::path output = folder.file("out.json", "{}");
  auto json = manifest_of({}).to_json();
  json["options"].erase("category");
  write_file(manifest_path(output), json.dump());
  EXPECT_TRUE(manifest_of({}).matches(output));
  EXPECT_FALSE(manifest_of({.category = "coding"}).matches(output));
  json["options"]["dropped"] = 1;
  write_file(manifest_path(output), json.dump());
  EXPECT_FALSE(manifest_of({}).matches(output)) << "an option that is no more";
}

TEST(Manifest, CheckpointsAndLogsAreNoPartOfAModel) {
  const TempFolder folder;
  const fs::path model = folder / "rm";
  fs::create_directories(model / "additional_chat_templates");
  write_file(model / "config.json", "{}");
  write_file(model / "model.safetensors", "weights");
  const std::string before = sha256_of_path(model);
  for (const char* more : {"checkpoint-500", "runs", ".git"}) {
    fs::create_directories(model / more);
    write_file(model / more / "model.safetensors", "others");
  }
  EXPECT_EQ(sha256_of_path(model), before);
  EXPECT_EQ(hash_model({model}).folder, before);
  write_file(model / "additional_chat_templates" / "tool_use.jinja", "x");
  EXPECT_NE(sha256_of_path(model), before);
  // A folder of data is hashed whole.
  fs::remove(model / "config.json");
  const std::string data = sha256_of_path(model);
  write_file(model / "runs" / "more.parquet", "rows");
  EXPECT_NE(sha256_of_path(model), data);
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
