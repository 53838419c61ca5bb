#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "charm/base/random.h"
#include "charm/storage/record_reader.h"
#include "charm/storage/record_writer.h"
#include "tests/fuzz/storage_property.h"
#include "tests/unit/base/temp_folder.h"

namespace charm {
namespace {

const fs::path kFixtures = CHARM_SOURCE_DIR "/tests/data/storage";
constexpr int kNumMutations = 150;

// Text of any valid code points, control characters and NUL included.
std::string random_text(RandomStream& random) {
  std::string text;
  for (std::uint64_t left = random.below(20); left > 0; --left) {
    switch (random.below(4)) {
      case 0:
        text += static_cast<char>(random.below(0x80));
        break;
      case 1:
        text += std::string("\xC3") + static_cast<char>(0x80 + random.below(0x40));
        break;
      case 2:
        text += std::string("\xE2\x80") + static_cast<char>(0x80 + random.below(0x40));
        break;
      default:
        text += std::string("\xF0\x9F\xA7") + static_cast<char>(0x80 + random.below(0x40));
        break;
    }
  }
  return text;
}

std::vector<ScoredResponse> random_rows(RandomStream& random) {
  std::vector<ScoredResponse> rows(1 + random.below(20));
  for (std::size_t i = 0; i < rows.size(); ++i) {
    Response& response = rows[i].response;
    response.prompt_id = std::to_string(i) + random_text(random);
    response.policy = "p" + random_text(random);
    response.prompt = {{"system" + random_text(random), random_text(random)},
                       {"user", random_text(random)}};
    response.response = random_text(random);
    rows[i].score = static_cast<float>(random.normal());
    if (random.below(4) == 0) rows[i].error = "e" + random_text(random);
  }
  return rows;
}

// Flips, cuts, doubles or inserts at random places.
std::string mutate(std::string bytes, RandomStream& random) {
  for (std::uint64_t left = 1 + random.below(4); left > 0 && !bytes.empty(); --left) {
    const std::size_t at = random.below(bytes.size());
    switch (random.below(5)) {
      case 0:
        bytes[at] = static_cast<char>(random.below(256));
        break;
      case 1:
        bytes.resize(at);
        break;
      case 2:
        bytes.insert(at, bytes, at, random.below(30));
        break;
      case 3:
        bytes.erase(at, random.below(30));
        break;
      default:
        bytes.insert(at, 1, "{}[]\",:\\0\n"[random.below(10)]);
        break;
    }
  }
  return bytes;
}

TEST(StorageFuzz, WhatIsWrittenReadsBack) {
  const testing::TempFolder folder;
  RandomStream random(1, "fuzz");
  for (int round = 0; round < 40; ++round) {
    const auto rows = random_rows(random);
    for (const char* name : {"rows.parquet", "rows.jsonl", "rows.jsonl.gz"}) {
      storage::write_scores(folder / name, rows);
      const auto back = storage::read_scored_responses(folder / name, {});
      ASSERT_EQ(back.size(), rows.size());
      for (std::size_t i = 0; i < rows.size(); ++i) {
        ASSERT_EQ(back[i].response.prompt_id, rows[i].response.prompt_id);
        ASSERT_EQ(back[i].response.policy, rows[i].response.policy);
        ASSERT_EQ(back[i].response.prompt, rows[i].response.prompt);
        ASSERT_EQ(back[i].response.response, rows[i].response.response);
        ASSERT_EQ(back[i].error, rows[i].error);
        if (!rows[i].error) {
          ASSERT_EQ(back[i].score, rows[i].score);
        }
      }
    }
  }
}

class MutatedFile : public ::testing::TestWithParam<const char*> {};

TEST_P(MutatedFile, EndsInRowsOrInAnInputError) {
  const testing::TempFolder folder;
  const std::string original = read_file(kFixtures / GetParam());
  const fs::path file = folder / "input";
  ASSERT_TRUE(fuzz::read_as_everything(file, original));
  RandomStream random(2, GetParam());
  for (int round = 0; round < kNumMutations; ++round) {
    SCOPED_TRACE(round);
    ASSERT_NO_THROW(fuzz::read_as_everything(file, mutate(original, random)));
  }
}

INSTANTIATE_TEST_SUITE_P(StorageFuzz, MutatedFile,
                         ::testing::Values("types.parquet", "types.arrow",
                                           "saved_dataset/data-00000-of-00002.arrow",
                                           "saved_dict/train/data-00000-of-00001.arrow",
                                           "no_ids.parquet"));

class MutatedRows : public ::testing::TestWithParam<const char*> {};

TEST_P(MutatedRows, EndInRowsOrInAnInputError) {
  const testing::TempFolder folder;
  RandomStream random(3, GetParam());
  storage::write_scores(folder / GetParam(), random_rows(random));
  const std::string original = read_file(folder / GetParam());
  for (int round = 0; round < kNumMutations; ++round) {
    SCOPED_TRACE(round);
    ASSERT_NO_THROW(fuzz::read_as_everything(folder / "input", mutate(original, random)));
  }
}

INSTANTIATE_TEST_SUITE_P(StorageFuzz, MutatedRows,
                         ::testing::Values("rows.jsonl", "rows.jsonl.gz", "rows.parquet"));

TEST(StorageFuzz, MutatedJsonArrays) {
  const testing::TempFolder folder;
  RandomStream random(4, "array");
  const std::string original =
      R"([{"prompt":"a","response":"b","score":1.5}, {"messages":[{"role":"user","content":"x, ] } \" \\"}]}])";
  for (int round = 0; round < kNumMutations; ++round) {
    SCOPED_TRACE(round);
    ASSERT_NO_THROW(fuzz::read_as_everything(folder / "input", mutate(original, random)));
  }
}

}  // namespace
}  // namespace charm
