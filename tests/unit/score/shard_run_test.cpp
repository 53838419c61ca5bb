#include "charm/score/shard_run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "charm/score/shard_journals.h"
#include "tests/support/expect_error.h"
#include "tests/unit/base/temp_folder.h"

namespace charm::score {
namespace {

using charm::testing::TempFolder;
using ::testing::ElementsAre;

/// A run of two shards of one policy with four rows of four prompts.
class ShardRunTest : public ::testing::Test {
 protected:
  ShardRunTest() {
    options_.model_dir = "my rm";
    options_.responses = {"a.jsonl", "it's.jsonl"};
    options_.output = folder_.path() / "out";
    options_.encoder.max_tokens = 100;
    options_.encoder.strip_thinking = true;
    options_.shard = Shard{.index = 1, .count = 2};
    for (int r = 0; r < 4; ++r) {
      Response row;
      row.prompt = {{"user", "question " + std::to_string(r)}};
      row.response = "answer";
      store_.add(std::move(row));
    }
    output_ = {.file = options_.output / "p.parquet",
               .rows = store_.all_rows(),
               .fingerprint = "fingerprint"};
  }

  ShardRun run(const std::string& fingerprint = "fingerprint") const {
    return make_shard_run(options_, {&fingerprint, 1}, "model a",
                          {{"version", "1"},
                           {"options", {{"max-tokens", *options_.encoder.max_tokens}}},
                           {"seed", nullptr},
                           {"inputs", {{{"path", "a.jsonl"}, {"sha256", "0"}}}},
                           {"provenance", {{"dtype", "float32"}}}});
  }

  /// A shard's journal with results of these rows.
  void write_shard(const Shard& shard, const ShardRun& run, std::vector<std::size_t> rows) const {
    storage::Journal journal(shard_path(output_.file, shard), output_.fingerprint, /*fresh=*/true,
                             run.owner, shard_run_note(run));
    RowJournals journals({{&journal, output_.rows}}, store_.size());
    std::vector<RowScore> results(rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i) results[i].score = static_cast<float>(rows[i]);
    journals.append(rows, results);
  }

  TempFolder folder_;
  ScoreStageOptions options_;
  RowStore store_;
  RunOutput output_;
};

TEST_F(ShardRunTest, ItsCommandIsForAShell) {
  EXPECT_EQ(run().command({.index = 0, .count = 2}),
            "charm score --max-tokens 100 --model 'my rm' --output " + options_.output.string() +
                " --responses a.jsonl 'it'\\''s.jsonl' --strip-thinking=true --shard 0/2");
}

TEST_F(ShardRunTest, IsReadFromAJournal) {
  write_shard({.index = 1, .count = 2}, run(), {1});
  const std::vector<FoundShard> found = find_shards(output_.file);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].shard, (Shard{.index = 1, .count = 2}));
  EXPECT_EQ(found[0].fingerprint, "fingerprint");
  EXPECT_EQ(found[0].run.id, run().id);
  EXPECT_EQ(found[0].run.owner, "model a");
  EXPECT_EQ(found[0].run.options, run().options);
  EXPECT_EQ(found[0].run.manifest.dump(), run().manifest.dump()) << "in the same order";
  EXPECT_EQ(found[0].run.provenance(), (storage::Provenance{{"dtype", "float32"}}));
  ASSERT_EQ(find_runs(options_.output).size(), 1u);
  EXPECT_EQ(find_runs(options_.output)[0].id, run().id);
  EXPECT_TRUE(find_shards(options_.output / "q.parquet").empty());
  EXPECT_TRUE(find_runs(folder_.path() / "nowhere").empty());
  write_file(storage::journal_path(shard_path(output_.file, {.index = 0, .count = 2})), "{\"charm");
  EXPECT_EQ(find_shards(output_.file).size(), 1u) << "the other one's process has just begun";
}

TEST_F(ShardRunTest, OptionsComeBackAndOthersAreRefused) {
  ScoreStageOptions given;
  given.output = "elsewhere";
  given.max_bad_rows = 3;
  const ScoreStageOptions options = options_of_shards(given, run());
  EXPECT_EQ(options.model_dir, "my rm");
  EXPECT_THAT(options.responses, ElementsAre("a.jsonl", "it's.jsonl"));
  EXPECT_EQ(options.output, "elsewhere");
  EXPECT_EQ(options.encoder.max_tokens, 100);
  EXPECT_TRUE(options.encoder.strip_thinking);
  EXPECT_EQ(options.max_bad_rows, 3);
  EXPECT_EQ(options.shard, std::nullopt);

  given.responses = {"./a.jsonl", "it's.jsonl"};
  EXPECT_NO_THROW(options_of_shards(given, run()));
  EXPECT_TRUE(has_inputs(run(), given));
  given.responses.pop_back();
  EXPECT_FALSE(has_inputs(run(), given));
  EXPECT_ERROR(kInput, "--responses is ./a.jsonl, but the shards were scored with a.jsonl it's",
               options_of_shards(given, run()));
  given = {};
  given.encoder.max_tokens = 7;
  EXPECT_ERROR(kInput, "--max-tokens is 7, but the shards were scored with 100",
               options_of_shards(given, run()));
}

TEST_F(ShardRunTest, ShardsOfAnotherRunAreRefused) {
  const FoundShard found{.shard = {.index = 0, .count = 2},
                         .target = shard_path(output_.file, {.index = 0, .count = 2}),
                         .fingerprint = "fingerprint",
                         .run = run()};
  EXPECT_NO_THROW(require_same_run(found, run()));
  ShardRun other = run("other");
  EXPECT_ERROR(kInput, "other inputs", require_same_run(found, other));
  other.manifest["inputs"][0]["sha256"] = "1";
  EXPECT_ERROR(kInput, "other input files, or the same in another order",
               require_same_run(found, other));
  other.manifest["options"]["max-tokens"] = 50;
  EXPECT_ERROR(kInput,
               "p.shard-0-of-2.parquet: shard 0/2 is there, scored with other options or "
               "inputs (--max-tokens 100, here 50)",
               require_same_run(found, other));
  other.manifest["version"] = "2";
  EXPECT_ERROR(kInput, "version \"1\", here \"2\"", require_same_run(found, other));
  other.owner = "model b";
  EXPECT_ERROR(kInput, "scored with another model (model a; here model b)",
               require_same_run(found, other));
  options_.shard->count = 3;
  EXPECT_ERROR(kInput, "of a run of 2 shards, but this one has 3", require_same_run(found, run()));
}

TEST_F(ShardRunTest, JoinsWhatAllShardsHave) {
  const std::vector<int> shards = shard_of_rows(store_, 2);
  ASSERT_THAT(shards, ElementsAre(0, 1, 0, 1));
  write_shard({.index = 0, .count = 2}, run(), {0, 2});
  JoinedShards joined = read_shards(store_, {&output_, 1}, run());
  EXPECT_FALSE(joined.complete[0]);
  ASSERT_EQ(joined.unfinished().size(), 1u);
  EXPECT_EQ(shards_text(joined.unfinished()), "shard 1/2 (0 of 2 rows scored)");
  EXPECT_ERROR(kInput,
               "out: 1 of 2 shards is not complete: shard 1/2 (0 of 2 rows scored); run: "
               "charm score --max-tokens 100",
               throw_missing("out", joined.unfinished(), run()));
  write_shard({.index = 1, .count = 2}, run(), {3, 1});
  joined = read_shards(store_, {&output_, 1}, run());
  EXPECT_TRUE(joined.unfinished().empty());
  for (std::size_t row = 0; row < 4; ++row)
    EXPECT_EQ(joined.known.results[row].score, static_cast<float>(row));

  // A process without a shard goes on from what is there, of the same fingerprint.
  KnownResults known = unscored(4);
  take_shard_results({&output_, 1}, known);
  EXPECT_THAT(known.done, ElementsAre(true, true, true, true));
  known = unscored(4);
  output_.fingerprint = "other";
  take_shard_results({&output_, 1}, known);
  EXPECT_THAT(known.done, ElementsAre(false, false, false, false));
  remove_shards({&output_, 1});
  EXPECT_TRUE(find_shards(output_.file).empty());
}

TEST_F(ShardRunTest, FreshRemovesShardsOfOtherRunsUnlessOneIsAtWork) {
  write_shard({.index = 0, .count = 3}, run("other"), {0});
  write_shard({.index = 0, .count = 2}, run(), {0});
  const fs::path target = shard_path(output_.file, {.index = 0, .count = 3});
  {
    const OutputLock at_work(target);
    require_one_run({&output_, 1}, run(), /*fresh=*/true);
    EXPECT_TRUE(fs::exists(storage::journal_path(target)));
  }
  require_one_run({&output_, 1}, run(), /*fresh=*/true);
  EXPECT_FALSE(fs::exists(storage::journal_path(target)));
  EXPECT_EQ(find_shards(output_.file).size(), 1u) << "that of this run stays";
}

TEST_F(ShardRunTest, LocksExcludeOneNumberTwiceAndAWholeRun) {
  const Shard first{.index = 0, .count = 2};
  {
    const OutputLock lock = lock_for_scoring({output_.file}, first);
    EXPECT_ERROR(kIo, "--shard 0/2 (each process has a number of its own)",
                 lock_for_scoring({output_.file}, first));
    EXPECT_NO_THROW(lock_for_scoring({output_.file}, Shard{.index = 1, .count = 2}));
    write_shard(first, run(), {});
    EXPECT_ERROR(kIo, "p.shard-0-of-2.parquet: is being written",
                 lock_for_scoring({output_.file}, std::nullopt));
  }
  EXPECT_NO_THROW(lock_for_scoring({output_.file}, std::nullopt));
}

}  // namespace
}  // namespace charm::score
