// `charm score` as several processes, each with its shard: the same bytes as one process, whatever
// happens to one of them.

#include <gmock/gmock.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sstream>

#include "charm/base/companions.h"
#include "charm/base/files.h"
#include "charm/base/output_lock.h"
#include "charm/demo/tiny_model.h"
#include "tests/dist/ranks.h"
#include "tests/e2e/small_world.h"

namespace charm::e2e {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class Shards : public SmallWorld {
 protected:
  Shards() { num_prompts_ = 120; }

  std::vector<std::string> command(const std::string& output,
                                   const std::vector<std::string>& more = {}) const {
    return join({{"score", "--model", path("rm"), "--dtype", "float32", "--budget-tokens", "64",
                  "--threads", "1", "--output", path(output)},
                 more,
                 {"--responses"},
                 all_responses()});
  }

  Outcome run_shard(const std::string& output, const std::string& shard) const {
    const Outcome outcome = run_charm(command(output, {"--shard", shard}));
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return outcome;
  }

  /// `output` has the files and the manifest of `one`, and no trace of shards.
  void expect_same_run(const std::string& one, const std::string& output) const {
    EXPECT_EQ(files_below(path(one)), files_below(path(output)));
    EXPECT_FALSE(files_below(path(one)).empty());
    auto expected = files_below(path(".charm/" + one)),
         found = files_below(path(".charm/" + output));
    ASSERT_EQ(found.size(), 1u) << "other files than the manifest, or none";
    std::string text = found[0].second;
    for (std::size_t at; (at = text.find("/" + output + "/")) != std::string::npos;)
      text.replace(at + 1, output.size(), one);
    EXPECT_EQ(text, expected[0].second);
  }

  /// The journal has its header and this many batches.
  static std::function<bool()> has_batches(const std::string& journal, int num_batches) {
    return [=] {
      std::error_code error;
      if (!fs::exists(journal, error)) return false;
      const std::string text = read_file(journal);
      return std::ranges::count(text, '\n') > num_batches;
    };
  }
};

TEST_F(Shards, WriteTheBytesOfOneProcess) {
  ASSERT_EQ(run_charm(command("one")).code, 0);
  for (const std::size_t size : {2u, 3u}) {
    const std::string output = "of" + std::to_string(size);
    int num_joined = 0;
    for (const Outcome& outcome : run_ranks(std::vector(size, command(output)))) {
      EXPECT_EQ(outcome.code, 0) << outcome.err;
      num_joined += outcome.out.find("480 rows of 4 policies") != std::string::npos ? 1 : 0;
    }
    EXPECT_GE(num_joined, 1);
    expect_same_run("one", output);
  }
  for (const Outcome& outcome : run_ranks(std::vector(2, command("of2")))) {
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_THAT(outcome.out, HasSubstr("output is complete already"));
  }
}

TEST_F(Shards, OneAfterTheOtherCountedFromZeroOrFromOne) {
  ASSERT_EQ(run_charm(command("one")).code, 0);
  Outcome outcome = run_shard("zero", "0/2");
  EXPECT_THAT(outcome.out,
              AllOf(HasSubstr("rows of shard 0/2"), HasSubstr("not complete: shard 1/2 (0 of ")));
  EXPECT_TRUE(files_below(path("zero")).empty());
  outcome = run_shard("zero", "1/2");
  EXPECT_THAT(outcome.out, HasSubstr("480 rows of 4 policies"));
  expect_same_run("one", "zero");
  for (const char* shard : {"2/3", "1/3", "3/3"}) run_shard("from-one", shard);
  expect_same_run("one", "from-one");
}

TEST_F(Shards, MoreOfThemThanPrompts) {
  write_file(path("few.jsonl"), "{\"prompt\": \"a\", \"response\": \"b\", \"policy\": \"p\"}\n");
  const auto few = [&](const std::string& output, const std::string& shard) {
    return run_charm({"score", "--model", path("rm"), "--responses", path("few.jsonl"), "--output",
                      path(output), "--shard", shard});
  };
  EXPECT_EQ(few("one", "0/1").code, 0);
  EXPECT_EQ(few("out", "2/3").code, 0);
  EXPECT_FALSE(fs::exists(path("out/p.parquet")));
  EXPECT_EQ(few("out", "0/3").code, 0);
  EXPECT_EQ(read_file(path("out/p.parquet")), read_file(path("one/p.parquet")));
}

/// Options that allow mpirun to oversubscribe and to run as root, as in a container.
std::vector<std::string> mpirun(const std::string& version, std::size_t size) {
  std::vector<std::string> words = {"mpirun", "-n", std::to_string(size)};
  if (version.find("Open MPI") == std::string::npos && version.find("OpenRTE") == std::string::npos)
    return words;
  words.push_back("--oversubscribe");
  if (geteuid() == 0) words.push_back("--allow-run-as-root");
  return words;
}

TEST_F(Shards, WriteTheBytesOfOneProcessUnderMpirun) {
  RunSetup ask;
  ask.launcher = {"mpirun", "--version"};
  const Outcome version = run_charm({}, ask);
  if (version.code != 0) GTEST_SKIP() << "needs mpirun (Debian: openmpi-bin)";
  ASSERT_EQ(run_charm(command("one")).code, 0);
  for (const std::size_t size : {2u, 3u}) {
    const std::string output = "of" + std::to_string(size);
    RunSetup setup;
    setup.launcher = mpirun(version.out, size);
    const Outcome outcome = run_charm(command(output), setup);
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    expect_same_run("one", output);
  }
}

TEST_F(Shards, UnderSrunTheTaskIsTheShard) {
  const Outcome outcome = run_charm(
      command("out"), {.environment = {{"SLURM_PROCID", "1"}, {"SLURM_STEP_NUM_TASKS", "2"}}});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("rows of shard 1/2"));
  // An explicit one comes first; 0/1 is everything.
  EXPECT_THAT(run_charm(command("out", {"--shard", "0/2"}),
                        {.environment = {{"RANK", "1"}, {"WORLD_SIZE", "2"}}})
                  .out,
              HasSubstr("480 rows of 4 policies"));
  EXPECT_THAT(run_charm(command("all", {"--shard", "0/1"}),
                        {.environment = {{"RANK", "1"}, {"WORLD_SIZE", "2"}}})
                  .out,
              HasSubstr("480 rows of 4 policies"));
}

TEST_F(Shards, AKilledOneContinues) {
  ASSERT_EQ(run_charm(command("one")).code, 0);
  const std::string journal = path(".charm/killed/helper.shard-1-of-2.parquet.journal");
  const std::vector<Outcome> outcomes =
      run_ranks(std::vector(2, command("killed")), has_batches(journal, 1));
  ASSERT_EQ(outcomes[1].code, 128 + 9);
  EXPECT_EQ(outcomes[0].code, 0) << "the others are not harmed: " << outcomes[0].err;
  EXPECT_THAT(outcomes[0].out, HasSubstr("not complete: shard 1/2"));
  EXPECT_FALSE(fs::exists(path("killed/helper.parquet")));
  const Outcome outcome = run_shard("killed", "1/2");
  EXPECT_THAT(outcome.err,
              AllOf(HasSubstr("its lock is taken over"), HasSubstr("rows were scored before")));
  expect_same_run("one", "killed");
}

TEST_F(Shards, OneProcessFinishesWhatShardsLeft) {
  ASSERT_EQ(run_charm(command("one")).code, 0);
  run_shard("out", "0/3");
  const Outcome outcome = run_charm(command("out"));
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("rows were scored before"));
  expect_same_run("one", "out");
}

TEST_F(Shards, AMissingOneIsNamedAtTheMergeWithItsCommand) {
  ASSERT_EQ(run_charm(command("one")).code, 0);
  run_shard("out", "0/3");
  run_shard("out", "2/3");
  const Outcome refused = run_charm({"score", "--merge", "--output", path("out")});
  EXPECT_EQ(refused.code, 3);
  EXPECT_THAT(refused.err, AllOf(HasSubstr("1 of 3 shards is not complete: shard 1/3 (0 of "),
                                 HasSubstr("run: charm score "), HasSubstr(" --shard 1/3")));
  // The command of the message does it.
  const std::size_t at = refused.err.find("charm score ", refused.err.find("run: "));
  std::istringstream words(refused.err.substr(at + 6));
  const Outcome outcome = run_charm({std::istream_iterator<std::string>(words), {}});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  expect_same_run("one", "out");
  EXPECT_EQ(run_charm({"score", "--merge", "--output", path("out")}).code, 0) << "joined before";
}

/// The journals of a run whose last process was killed before it could join.
class CompleteShards : public Shards {
 protected:
  void SetUp() override {
    Shards::SetUp();
    ASSERT_EQ(run_charm(command("one")).code, 0);
    run_shard("out", "0/2");
    run_shard("other", "1/2");
    for (const auto& [name, content] : files_below(path(".charm/other")))
      write_file(path(".charm/out/" + name), content);
  }
};

TEST_F(CompleteShards, AreJoinedByHandWithoutTheModel) {
  fs::remove_all(path("rm"));
  const Outcome outcome = run_charm({"score", "--merge", "--output", path("out")});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("480 rows of 4 policies"));
  expect_same_run("one", "out");
}

TEST_F(CompleteShards, AreJoinedByTheNextThatIsStarted) {
  EXPECT_THAT(run_shard("out", "1/2").out, HasSubstr("480 rows of 4 policies"));
  expect_same_run("one", "out");
}

TEST_F(CompleteShards, AreNotJoinedUnderOtherOptionsOrInputs) {
  expect_failure(command("out", {"--merge", "--max-tokens", "7"}), 3,
                 {"--max-tokens is 7, but the shards were scored with its default"});
  expect_failure({"score", "--merge", "--output", path("out"), "--responses", responses("helper")},
                 3, {"has shards of no run with these inputs"});
  expect_failure({"score", "--merge", "--fresh", "--output", path("out")}, 2, {"--fresh"});
  expect_failure({"score", "--merge", "--shard", "0/2", "--output", path("out")}, 2, {"--shard"});
  const std::string content = read_file(responses("helper"));
  const std::size_t line = content.find('\n') + 1;
  write_file(responses("helper"), content.substr(line) + content.substr(0, line));
  expect_failure({"score", "--merge", "--output", path("out")}, 3, {"its inputs have changed"});
  write_file(responses("helper"), content);
  EXPECT_EQ(run_charm(command("out", {"--merge"})).code, 0);
  expect_same_run("one", "out");
  expect_failure({"score", "--merge", "--output", path("empty")}, 3, {"has no shards to join"});
}

TEST_F(Shards, OfAnotherRunAreRefused) {
  run_shard("out", "0/2");
  demo::TinyModelOptions other;
  other.reward_head = true;
  other.seed = 8;
  demo::write_tiny_model(path("other-rm"), std::vector<std::string>{"a"}, other);
  expect_failure(command("out", {"--shard", "1/3"}), 3,
                 {"shard 0/2 is there", "of a run of 2 shards, but this one has 3", "--fresh"});
  expect_failure(command("out", {"--shard", "1/2", "--max-tokens", "50"}), 3,
                 {"shard 0/2 is there", "other options or inputs (--max-tokens ", ", here 50)"});
  std::vector<std::string> arguments = command("out", {"--shard", "1/2"});
  arguments[2] = path("other-rm");
  expect_failure(arguments, 3, {"shard 0/2 is there, scored with another model"});
  arguments = command("out", {"--shard", "1/2"});
  arguments.pop_back();
  expect_failure(arguments, 3, {"shard 0/2 is there", "other input files"});
  // Nothing of the first shard was lost; --fresh drops it.
  const std::string journal = path(".charm/out/helper.shard-0-of-2.parquet.journal");
  EXPECT_TRUE(fs::exists(journal));
  const Outcome outcome = run_charm(command("out", {"--shard", "1/3", "--fresh"}));
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_FALSE(fs::exists(journal));
}

TEST_F(Shards, TwoWithOneNumber) {
  const std::string lock = path(".charm/out/helper.shard-1-of-2.parquet.lock");
  keep_companions_outside(path("out"));
  {
    const OutputLock held(path("out/helper.shard-1-of-2.parquet"));  // as the other one holds it
    EXPECT_TRUE(fs::exists(lock));
    expect_failure(command("out", {"--shard", "1/2"}), 4,
                   {"--shard 1/2", "is being written by another charm process",
                    "pid " + std::to_string(getpid()) + " on "});
    expect_failure(command("out"), 4, {"helper.shard-1-of-2.parquet", "is being written"});
  }
  run_shard("out", "1/2");
}

TEST_F(Shards, PoliciesThatAreCompleteAreNotScoredAgain) {
  ASSERT_EQ(run_charm(command("one")).code, 0);
  std::vector<std::string> first = command("out");
  first.resize(first.size() - 2);
  ASSERT_EQ(run_charm(first).code, 0);
  const Outcome outcome = run_shard("out", "0/2");
  EXPECT_THAT(outcome.err, HasSubstr("2 of 4 policies complete already"));
  EXPECT_FALSE(fs::exists(path(".charm/out/helper.shard-0-of-2.parquet.journal")));
  run_shard("out", "1/2");
  EXPECT_EQ(files_below(path("one")), files_below(path("out")));
}

TEST_F(Shards, ReuseScoresOfEarlierRuns) {
  std::vector<std::string> first = command("earlier");
  first.resize(first.size() - 2);
  ASSERT_EQ(run_charm(first).code, 0);
  ASSERT_EQ(run_charm(command("one")).code, 0);
  const std::string earlier = path("earlier/helper.parquet");
  const Outcome outcome = run_charm(command("out", {"--shard", "0/2", "--resume", earlier}));
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("rows of 1 policies, scored "));
  EXPECT_EQ(run_charm(command("out", {"--shard", "1/2", "--resume", earlier})).code, 0);
  EXPECT_EQ(files_below(path("one")), files_below(path("out")));
}

TEST_F(Shards, OfVotes) {
  std::string votes;
  for (int v = 0; v < 40; ++v) {
    votes += nlohmann::json{{"model_a", "a"},
                            {"model_b", "b"},
                            {"winner", v % 2 == 0 ? "model_a" : "model_b"},
                            {"prompt", "question " + std::to_string(v % 9)},
                            {"response_a", "answer " + std::to_string(v)},
                            {"response_b", "other answer " + std::to_string(v)}}
                 .dump() +
             "\n";
  }
  write_file(path("votes.jsonl"), votes);
  const auto score = [&](const std::string& output, const std::vector<std::string>& more) {
    return run_charm(join(
        {{"score", "--model", path("rm"), "--votes", path("votes.jsonl"), "--output", path(output)},
         more}));
  };
  ASSERT_EQ(score("one.parquet", {}).code, 0);
  Outcome outcome = score("out.parquet", {"--shard", "1/2"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("not complete: shard 0/2"));
  expect_failure({"score", "--merge", "--output", path("out.parquet")}, 3,
                 {"1 of 2 shards is not complete: shard 0/2"});
  EXPECT_EQ(score("out.parquet", {"--shard", "0/2"}).code, 0);
  EXPECT_EQ(read_file(path("one.parquet")), read_file(path("out.parquet")));
  EXPECT_FALSE(fs::exists(path(".charm/out.shard-0-of-2.parquet.journal")));
  EXPECT_THAT(score("out.parquet", {"--shard", "0/2"}).out,
              HasSubstr("output is complete already"));
  EXPECT_EQ(run_charm({"score", "--merge", "--output", path("out.parquet")}).code, 0);
  // The last one is killed before it can join.
  score("late.parquet", {"--shard", "0/2"});
  score("late2.parquet", {"--shard", "1/2"});
  fs::copy_file(path(".charm/late2.shard-1-of-2.parquet.journal"),
                path(".charm/late.shard-1-of-2.parquet.journal"));
  outcome = run_charm({"score", "--merge", "--output", path("late.parquet")});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("40 votes"));
  EXPECT_EQ(read_file(path("one.parquet")), read_file(path("late.parquet")));
}

TEST_F(Shards, OtherCommandsRefuseALauncher) {
  const Outcome outcome =
      run_charm({"inspect", path("rm")}, {.environment = {{"RANK", "0"}, {"WORLD_SIZE", "2"}}});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("runs in a single process"));
}

TEST_F(Shards, NumbersOutOfRangeAreRefused) {
  for (const char* shard : {"3/2", "-1/2", "0/0", "1", "1/2/3", "a/2", "1/"})
    expect_failure(command("out", {"--shard=" + std::string(shard)}), 2, {"--shard", "expected"});
  expect_failure({"score", "--responses", responses("helper"), "--output", path("out")}, 2,
                 {"--model is required"});
}

}  // namespace
}  // namespace charm::e2e
