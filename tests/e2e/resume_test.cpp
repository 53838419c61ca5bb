// SIGKILL at any time: the same command then resumes and gives the same bytes.

#include <gmock/gmock.h>

#include "charm/base/files.h"
#include "tests/e2e/small_world.h"

namespace charm::e2e {
namespace {

using testing::HasSubstr;

/// Many prompts, so that there is time for a kill.
class Resume : public SmallWorld {
 protected:
  Resume() { num_prompts_ = 400; }

  std::vector<std::string> train_command(const std::string& output,
                                         const std::string& checkpoint_every) const {
    return {"train",
            "--model",
            path("rm"),
            "--preferences",
            path("world/annotations.jsonl"),
            "--output",
            path(output),
            "--learning-rate",
            "1e-3",
            "--pairs-per-step",
            "8",
            "--epochs",
            "6",
            "--checkpoint-every",
            checkpoint_every,
            "--dtype",
            "float32"};
  }

  /// Runs the command once per condition, killing it when the condition holds, then to the end.
  /// @return number of kills
  int kill_and_finish(const std::vector<std::string>& arguments,
                      const std::vector<std::function<bool()>>& conditions) {
    int kills = 0;
    for (const auto& condition : conditions)
      kills +=
          run_charm(arguments, {.max_file_bytes = 0, .environment = {}, .kill_when = condition})
                      .code == 128 + 9
              ? 1
              : 0;
    const Outcome outcome = run_charm(arguments);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return kills;
  }

  static std::function<bool()> larger_than(const std::string& file, std::uintmax_t bytes) {
    return [file, bytes] {
      std::error_code error;
      const auto size = fs::file_size(file, error);
      return !error && size > bytes;
    };
  }
};

TEST_F(Resume, ScoreGivesTheSameBytes) {
  const auto command = [&](const std::string& output) {
    return join({{"score", "--model", path("rm"), "--dtype", "float32", "--budget-tokens", "256",
                  "--output", path(output), "--responses"},
                 all_responses()});
  };
  ASSERT_EQ(run_charm(command("straight")).code, 0);
  const std::string journal = path(".charm/killed/helper.parquet.journal");  // one of four
  EXPECT_GE(kill_and_finish(command("killed"), {larger_than(journal, 0), larger_than(journal, 5000),
                                                larger_than(journal, 12000)}),
            1);
  for (const demo::WorldPolicy& policy : demo::world_policies()) {
    const std::string name = "/" + policy.contestant.name + ".parquet";
    EXPECT_EQ(read_file(path("straight" + name)), read_file(path("killed" + name))) << name;
  }
  EXPECT_FALSE(fs::exists(journal));
}

TEST_F(Resume, AnotherMaxTokensInBetweenLosesNothing) {
  const auto command = [&](const std::string& output, const std::string& max_tokens) {
    return join({{"score", "--model", path("rm"), "--dtype", "float32", "--budget-tokens", "256",
                  "--max-tokens", max_tokens, "--output", path(output), "--responses"},
                 {responses("helper")}});
  };
  ASSERT_EQ(run_charm(command("straight", "64")).code, 0);
  const std::string journal = path(".charm/out/helper.parquet.journal");
  ASSERT_NE(
      run_charm(command("out", "64"),
                {.max_file_bytes = 0, .environment = {}, .kill_when = larger_than(journal, 3000)})
          .code,
      0);
  ASSERT_TRUE(fs::exists(journal));
  const Outcome other = run_charm(command("out", "24"));
  ASSERT_EQ(other.code, 0) << other.err;
  EXPECT_THAT(other.err, HasSubstr("an interrupted run had other options or inputs"));
  const Outcome back = run_charm(command("out", "64"));
  ASSERT_EQ(back.code, 0) << back.err;
  EXPECT_THAT(back.err, HasSubstr("resuming: "));
  EXPECT_EQ(read_file(path("straight/helper.parquet")), read_file(path("out/helper.parquet")));
  EXPECT_FALSE(fs::exists(journal));
}

TEST_F(Resume, ResumesAfterSigintAndSigterm) {
  const auto command = [&](const std::string& output) {
    return join({{"score", "--model", path("rm"), "--dtype", "float32", "--budget-tokens", "256",
                  "--output", path(output), "--responses"},
                 all_responses()});
  };
  ASSERT_EQ(run_charm(command("straight")).code, 0);
  for (const int signal : {SIGINT, SIGTERM}) {
    const std::string output = "killed-" + std::to_string(signal);
    const Outcome outcome = run_charm(
        command(output),
        {.max_file_bytes = 0,
         .environment = {},
         .kill_when = larger_than(path(".charm/" + output + "/helper.parquet.journal"), 0),
         .kill_signal = signal});
    EXPECT_EQ(outcome.code, 128 + signal) << outcome.err;
    EXPECT_THAT(
        outcome.err,
        HasSubstr(std::string("charm score: ") + (signal == SIGINT ? "SIGINT" : "SIGTERM") +
                  ": the finished rows are kept; run the same command again to continue\n"));
    EXPECT_FALSE(fs::exists(path(output + "/helper.parquet")));
    ASSERT_EQ(run_charm(command(output)).code, 0);
    EXPECT_EQ(read_file(path("straight/helper.parquet")),
              read_file(path(output + "/helper.parquet")));
    EXPECT_EQ(files_below(path("straight")).size(), files_below(path(output)).size());
  }
}

TEST_F(Resume, TrainMakesACheckpointOnSigterm) {
  const auto command = [&](const std::string& output) {
    return train_command(output, /*checkpoint_every=*/"1000");
  };
  ASSERT_EQ(run_charm(command("straight")).code, 0);
  const std::string metrics = path("killed.partial/metrics.jsonl");
  const Outcome outcome = run_charm(
      command("killed"), {.kill_when = larger_than(metrics, 1000), .kill_signal = SIGTERM});
  ASSERT_EQ(outcome.code, 128 + SIGTERM) << outcome.err;
  EXPECT_THAT(outcome.err,
              testing::AllOf(HasSubstr("charm train: SIGTERM: a checkpoint follows this step"),
                             HasSubstr("a checkpoint is written; run the same command again")));
  EXPECT_TRUE(fs::exists(path("killed.partial/checkpoint.safetensors")));
  ASSERT_EQ(run_charm(command("killed")).code, 0);
  EXPECT_EQ(read_file(path("straight/model.safetensors")),
            read_file(path("killed/model.safetensors")));
  EXPECT_EQ(read_file(path("straight/metrics.jsonl")).size() > 1000, true);
}

TEST_F(Resume, TrainGivesTheSameWeights) {
  const auto command = [&](const std::string& output) {
    return train_command(output, /*checkpoint_every=*/"2");
  };
  ASSERT_EQ(run_charm(command("straight")).code, 0);
  // After a quarter, a half and three quarters of the steps, counted in what they write: a faster
  // machine or program is killed at the same steps.
  const fs::path partial = path("killed.partial");
  const std::uintmax_t bytes = fs::file_size(path("straight/metrics.jsonl"));
  std::vector<std::function<bool()>> conditions;
  for (const std::uintmax_t quarters : {1, 2, 3})
    conditions.push_back(larger_than((partial / "metrics.jsonl").string(), bytes * quarters / 4));
  EXPECT_GE(kill_and_finish(command("killed"), conditions), 1);
  EXPECT_EQ(read_file(path("straight/model.safetensors")),
            read_file(path("killed/model.safetensors")));
  EXPECT_EQ(read_file(path("straight/config.json")), read_file(path("killed/config.json")));
  EXPECT_FALSE(fs::exists(partial));
}

}  // namespace
}  // namespace charm::e2e
