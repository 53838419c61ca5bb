#include "charm/score/shard.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "tests/support/expect_error.h"
#include "tests/unit/base/temp_folder.h"

namespace charm::score {
namespace {

TEST(ParseShard, CountsFromZeroOrFromOne) {
  EXPECT_EQ(parse_shard("0/2"), (Shard{.index = 0, .count = 2}));
  EXPECT_EQ(parse_shard("1/2"), (Shard{.index = 1, .count = 2}));
  EXPECT_EQ(parse_shard("2/2"), (Shard{.index = 0, .count = 2}));
  EXPECT_EQ(parse_shard("1/1"), (Shard{.index = 0, .count = 1}));
  EXPECT_EQ(parse_shard("3/4").text(), "3/4");
}

TEST(ParseShard, RefusesAnythingElse) {
  EXPECT_ERROR(kUsage, "expected K from 0 to 1 (or from 1 to 2)", parse_shard("3/2"));
  for (const char* text : {"", "1", "/", "1/", "/2", "-1/2", "1/-2", "0/0", "1/0", "1.0/2", "1/2 ",
                           " 1/2", "1/2/3", "a/b", "1-of-2", "0/100001", "99999999999/2"})
    EXPECT_ERROR(kUsage, "expected K/N", parse_shard(text)) << text;
}

RowStore rows_of_prompts(int num_rows, int num_prompts) {
  RowStore store;
  for (int r = 0; r < num_rows; ++r) {
    Response row;
    row.prompt = {{"user", "question " + std::to_string(r % num_prompts)}};
    row.response = std::string(static_cast<std::size_t>(r % 7) * 10, 'x');
    store.add(std::move(row));
  }
  return store;
}

TEST(RowsOfShard, EveryShardHasWholePromptsAndEveryRowHasOne) {
  const RowStore store = rows_of_prompts(40, 11);
  std::vector<std::size_t> seen;
  std::map<std::size_t, int> shard_of_prompt;
  for (int k = 0; k < 3; ++k) {
    for (const std::size_t row : rows_of_shard(store, Shard{.index = k, .count = 3})) {
      seen.push_back(row);
      EXPECT_EQ(shard_of_prompt.try_emplace(store.prompt_index(row), k).first->second, k);
    }
  }
  std::ranges::sort(seen);
  EXPECT_EQ(seen, store.all_rows());
  EXPECT_EQ(rows_of_shard(store, std::nullopt), store.all_rows());
}

TEST(RowsOfShard, ShardsHaveTextsOfAboutEqualSize) {
  const RowStore store = rows_of_prompts(3000, 1000);
  std::vector<std::size_t> bytes(8, 0);
  const std::vector<int> shards = shard_of_rows(store, 8);
  for (std::size_t r = 0; r < store.size(); ++r)
    bytes[static_cast<std::size_t>(shards[r])] += store[r].response.size();
  EXPECT_LT(*std::ranges::max_element(bytes) * 100, *std::ranges::min_element(bytes) * 115);
}

TEST(RowsOfShard, WithFewPromptsSomeHaveNone) {
  const RowStore store = rows_of_prompts(4, 1);
  EXPECT_EQ(rows_of_shard(store, Shard{.index = 0, .count = 5}).size(), 4u);
  EXPECT_TRUE(rows_of_shard(store, Shard{.index = 4, .count = 5}).empty());
}

TEST(ShardPath, NamesOutputNumberAndCount) {
  const std::filesystem::path output = "out/gpt-4.1.parquet";
  const std::filesystem::path path = shard_path(output, {.index = 2, .count = 12});
  EXPECT_EQ(path, "out/gpt-4.1.shard-2-of-12.parquet");
  EXPECT_EQ(shard_of_path(output, path), (Shard{.index = 2, .count = 12}));
  EXPECT_EQ(shard_path("votes.jsonl", {.index = 0, .count = 2}), "votes.shard-0-of-2.jsonl");
  for (const char* other : {"out/gpt-4.1.parquet", "out/gpt-4.shard-2-of-12.parquet",
                            "out/gpt-4.1.shard-x-of-12.parquet", "out/gpt-4.1.shard-2.parquet",
                            "out/gpt-4.1.shard-2-of-12.jsonl"})
    EXPECT_EQ(shard_of_path(output, other), std::nullopt) << other;
}

TEST(ShardsWithCompanions, AreThoseWithAJournalOrALock) {
  const charm::testing::TempFolder folder;
  const fs::path output = folder / "out/p.parquet";
  EXPECT_TRUE(shards_with_companions(output).empty());
  const std::string name = "out/.charm/p.shard-1-of-12.parquet";
  for (const char* suffix : {".journal", ".lock"}) folder.file(name + suffix, "");
  folder.file("out/.charm/p.shard-0-of-2.parquet.lock", "");
  folder.file("out/.charm/p.shard-3-of-4.parquet.partial", "");
  folder.file("out/.charm/q.shard-0-of-2.parquet.lock", "");
  folder.file("out/.charm/p.parquet.lock", "");
  const std::map<Shard, fs::path> found = shards_with_companions(output);
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found.begin()->second, folder / "out/p.shard-0-of-2.parquet");
  EXPECT_EQ(found.rbegin()->first, (Shard{.index = 1, .count = 12}));
}

}  // namespace
}  // namespace charm::score
