// `charm score` as several processes: the same bytes as one process, and a clear error when one of
// them fails.

#include <gmock/gmock.h>
#include <unistd.h>

#include "tests/dist/ranks.h"
#include "tests/e2e/small_world.h"

namespace charm::e2e {
namespace {

class SeveralProcesses : public SmallWorld {
 protected:
  SeveralProcesses() { num_prompts_ = 120; }

  std::vector<std::string> command(const std::string& output) const {
    return join({{"score", "--model", path("rm"), "--dtype", "float32", "--budget-tokens", "256",
                  "--threads", "1", "--output", path(output), "--responses"},
                 all_responses()});
  }

  void expect_same_scores(const std::string& a, const std::string& b) const {
    for (const demo::WorldPolicy& policy : demo::world_policies()) {
      const std::string name = "/" + policy.contestant.name + ".parquet";
      EXPECT_EQ(read_file(path(a + name)), read_file(path(b + name))) << name;
    }
  }
};

TEST_F(SeveralProcesses, WriteTheBytesOfOne) {
  ASSERT_EQ(run_charm(command("one")).code, 0);
  for (const std::size_t size : {2u, 3u}) {
    const std::string output = "of" + std::to_string(size);
    for (const Outcome& outcome : run_ranks(std::vector(size, command(output))))
      EXPECT_EQ(outcome.code, 0) << outcome.err;
    expect_same_scores("one", output);
    EXPECT_FALSE(fs::exists(path(".charm/" + output + "/helper.parquet.journal")));
    EXPECT_FALSE(fs::exists(path(".charm/" + output + "/helper.parquet.lock")));
  }
  // Everything is finished: all ranks agree that there is nothing to do.
  for (const Outcome& outcome : run_ranks(std::vector(2, command("of2"))))
    EXPECT_EQ(outcome.code, 0) << outcome.err;
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

TEST_F(SeveralProcesses, WriteTheBytesOfOneUnderMpirun) {
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
    expect_same_scores("one", output);
  }
}

TEST_F(SeveralProcesses, AKilledOneEndsTheRunAndOneProcessFinishesIt) {
  const std::string journal = path(".charm/killed/helper.parquet.journal");
  const std::vector<Outcome> outcomes = run_ranks(std::vector(2, command("killed")), [journal] {
    std::error_code error;
    const auto size = fs::file_size(journal, error);
    return !error && size > 200;
  });
  ASSERT_EQ(outcomes[1].code, 128 + 9);
  EXPECT_EQ(outcomes[0].code, 6);
  EXPECT_THAT(outcomes[0].err, testing::HasSubstr("rank 1 of 2 terminated unexpectedly"));
  EXPECT_FALSE(fs::exists(path(".charm/killed/manifest.json")));
  ASSERT_EQ(run_charm(command("killed")).code, 0);
  ASSERT_EQ(run_charm(command("one")).code, 0);
  expect_same_scores("one", "killed");
}

TEST_F(SeveralProcesses, AFailureEndsAllWithItsMessage) {
  std::vector<std::string> other = command("broken");
  other[2] = path("no-such-model");
  const std::vector<Outcome> outcomes = run_ranks({command("broken"), other});
  EXPECT_NE(outcomes[1].code, 0);
  EXPECT_EQ(outcomes[0].code, outcomes[1].code);
  EXPECT_THAT(outcomes[0].err, testing::AllOf(testing::HasSubstr("rank 1 of 2"),
                                              testing::HasSubstr("no-such-model")));
  EXPECT_FALSE(fs::exists(path(".charm/broken/manifest.json")));
}

TEST_F(SeveralProcesses, OtherCommandsRefuse) {
  const Outcome outcome = run_charm(
      {"inspect", path("rm")},
      {.max_file_bytes = 0, .environment = {{"RANK", "0"}, {"WORLD_SIZE", "2"}}, .kill_when = {}});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, testing::HasSubstr("runs in a single process"));
}

}  // namespace
}  // namespace charm::e2e
