// Two processes at one output: the second one is refused and the first one's result unharmed; at
// different outputs of one folder both succeed.

#include <gmock/gmock.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <future>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "charm/base/files.h"
#include "charm/base/output_lock.h"
#include "tests/e2e/small_world.h"

namespace charm::e2e {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

class Locks : public SmallWorld {
 protected:
  Locks() { num_prompts_ = 150; }

  std::vector<std::string> score(const std::vector<std::string>& policies,
                                 const std::string& output) const {
    std::vector<std::string> arguments = {
        "score",      "--model",   path("rm"), "--dtype",         "float32", "--output",
        path(output), "--threads", "1",        "--budget-tokens", "256",     "--responses"};
    for (const std::string& policy : policies) arguments.push_back(responses(policy));
    return arguments;
  }

  /// A `charm` that stands still (SIGSTOP) from the moment its lock file is there.
  struct Stopped {
    std::future<Outcome> outcome;
    pid_t pid = 0;

    Outcome continue_to_end() {
      if (pid != 0) kill(pid, SIGCONT);
      return outcome.get();
    }
  };
  Stopped start_and_stop(const std::vector<std::string>& arguments, const fs::path& lock) {
    Stopped process{.outcome =
                        std::async(std::launch::async, [=] { return run_charm(arguments); })};
    for (int i = 0; i < 20000 && process.pid == 0; ++i) {
      process.pid = pid_in(lock);
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    EXPECT_GT(process.pid, 0) << "no lock " << lock;
    if (process.pid != 0) kill(process.pid, SIGSTOP);
    return process;
  }
  static pid_t pid_in(const fs::path& lock) {
    std::error_code error;
    if (!fs::exists(lock, error)) return 0;
    std::istringstream text(read_file(lock));
    std::string word;
    pid_t pid = 0;
    return text >> word >> pid && word == "pid" ? pid : 0;
  }

  /// The second process of `arguments` is refused while the first one holds `lock`; then the first
  /// one succeeds.
  void expect_one_writer(const std::vector<std::string>& arguments, const std::string& output,
                         const std::string& lock) {
    Stopped first = start_and_stop(arguments, lock);
    expect_failure(
        arguments, 4,
        {output, "is being written by another charm process",
         "pid " + std::to_string(first.pid) + " on ", "since 20", "choose another output"});
    const Outcome outcome = first.continue_to_end();
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_FALSE(fs::exists(lock));
  }
};

TEST_F(Locks, ASecondScoreIsRefusedAndTheFirstOneIsUnharmed) {
  ASSERT_EQ(run_charm(score({"helper", "showman"}, "straight")).code, 0);
  expect_one_writer(score({"helper", "showman"}, "out"), path("out/helper.parquet"),
                    path(".charm/out/helper.parquet.lock"));
  EXPECT_EQ(files_below(path("straight")).size(), files_below(path("out")).size());
  for (const char* file : {"/helper.parquet", "/showman.parquet"})
    EXPECT_EQ(read_file(path("straight") + file), read_file(path("out") + file));
}

TEST_F(Locks, ASecondTrainingIsRefusedAndTheFirstOneIsUnharmed) {
  const auto train = [&](const std::string& output) {
    return std::vector<std::string>{"train",
                                    "--model",
                                    path("rm"),
                                    "--preferences",
                                    path("world/annotations.jsonl"),
                                    "--output",
                                    path(output),
                                    "--pairs-per-step",
                                    "16",
                                    "--dtype",
                                    "float32"};
  };
  ASSERT_EQ(run_charm(train("straight")).code, 0);
  expect_one_writer(train("trained"), path("trained"), path("trained.lock"));
  for (const char* file : {"/model.safetensors", "/metrics.jsonl"})
    EXPECT_EQ(read_file(path("straight") + file), read_file(path("trained") + file));
}

TEST_F(Locks, ASecondRunIsRefused) {
  write_file(path("recipe.yaml"),
             "run_dir: run\npolicies:\n"
             "  - {name: helper, responses: world/responses/helper.jsonl}\n"
             "  - {name: showman, responses: world/responses/showman.jsonl}\n"
             "ratings: world/ratings.json\n"
             "reward_model: {name: tiny, model: rm, dtype: float32}\n"
             "calibration: {reference: helper, bootstrap: 0}\n");
  expect_one_writer({"run", path("recipe.yaml")}, path("run"), path("run/charm.lock"));
  EXPECT_TRUE(fs::exists(path("run/report.html")));
  EXPECT_EQ(run_charm({"run", path("recipe.yaml"), "--dry-run"}).code, 0);
}

TEST_F(Locks, EveryStageThatWritesOneFileIsRefusedWhileAnotherWritesIt) {
  score_all();
  const std::string ratings = path("world/ratings.json");
  const auto calibrate = join({{"calibrate", "--ratings", ratings, "--reference", "helper",
                                "--bootstrap", "0", "--output", path("c.json"), "--scores"},
                               all_scores()});
  ASSERT_EQ(run_charm(calibrate).code, 0);
  const auto expect_locked = [&](const std::vector<std::string>& arguments,
                                 const std::string& output) {
    const OutputLock lock(output);  // as another charm would hold it
    expect_failure(arguments, 4, {output, "is being written", "pid " + std::to_string(getpid())});
  };
  expect_locked({"prepare", "--input", responses("helper"), "--output", path("p.parquet")},
                path("p.parquet"));
  expect_locked({"generate", "--prompts", responses("helper"), "--policy", "p", "--model",
                 path("rm"), "--output", path("g.jsonl")},
                path("g.jsonl"));
  write_file(path("battles.jsonl"), R"({"model_a": "a", "model_b": "b", "winner": "tie"})");
  expect_locked({"rate", "--battles", path("battles.jsonl"), "--output", path("r.json")},
                path("r.json"));
  expect_locked(join({{"measure", "--ratings", ratings, "--output", path("m.json"), "--scores"},
                      all_scores()}),
                path("m.json"));
  expect_locked(calibrate, path("c.json"));
  expect_locked(
      join({{"prefer", "--calibration", path("c.json"), "--output", path("f.parquet"), "--scores"},
            all_scores()}),
      path("f.parquet"));
  expect_locked(
      join({{"explain", "--calibration", path("c.json"), "--output", path("x.json"), "--scores"},
            all_scores()}),
      path("x.json"));
  const auto evaluate = [&](const std::string& output) {
    return std::vector<std::string>{"evaluate",
                                    "--benchmark",
                                    "rm-bench",
                                    "--model",
                                    path("rm"),
                                    "--data",
                                    path("world/style_pairs.json"),
                                    "--output",
                                    path(output)};
  };
  expect_locked(evaluate("e.json"), path("e.json"));
  expect_locked(evaluate("e.json"), path("e.scores.parquet"));
  ASSERT_EQ(run_charm(evaluate("e.json")).code, 0);
  expect_locked(
      {"evaluate", "--compare", path("e.json"), path("e.json"), "--output", path("v.json")},
      path("v.json"));
  expect_locked({"report", "--run", dir_.string(), "--output", path("report.html")},
                path("report.html"));
}

TEST_F(Locks, ProcessesOfDifferentPoliciesShareAFolder) {
  ASSERT_EQ(run_charm(score({"helper", "showman", "intern"}, "straight")).code, 0);
  // Two that overlap from begin to end, as tasks of an array do.
  Stopped first = start_and_stop(score({"helper"}, "out"), path(".charm/out/helper.parquet.lock"));
  Outcome outcome = run_charm(score({"showman"}, "out"));
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  outcome = first.continue_to_end();
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(run_charm(score({"intern"}, "out")).code, 0);
  for (const char* file : {"/helper.parquet", "/showman.parquet", "/intern.parquet"})
    EXPECT_EQ(read_file(path("straight") + file), read_file(path("out") + file));
  EXPECT_EQ(files_below(path("straight")).size(), files_below(path("out")).size());

  const json manifest = json::parse(read_file(path(".charm/out/manifest.json")));
  const json straight = json::parse(read_file(path(".charm/straight/manifest.json")));
  ASSERT_EQ(manifest["outputs"].size(), 3u);
  for (const json& output : manifest["outputs"]) EXPECT_EQ(output["num_rows"], num_prompts_);
  EXPECT_EQ(manifest["inputs"].size(), straight["inputs"].size());
  EXPECT_EQ(manifest["options"], straight["options"]);

  // All is there: together as well as one by one nothing is scored again.
  for (const auto& policies : std::vector<std::vector<std::string>>{
           {"helper", "showman", "intern"}, {"helper"}, {"intern", "showman"}}) {
    outcome = run_charm(score(policies, "out"));
    EXPECT_THAT(outcome.out, HasSubstr("output is complete already"));
  }
  outcome = run_charm(join({score({"helper", "scholar"}, "out"), {"--verbose"}}));
  EXPECT_THAT(outcome.err, HasSubstr("1 of 2 policies complete already"));
  EXPECT_EQ(json::parse(read_file(path(".charm/out/manifest.json")))["outputs"].size(), 4u);
}

TEST_F(Locks, ManyProcessesAtOnceLoseNoEntry) {
  const std::vector<std::string> policies = {"helper", "showman", "intern", "scholar"};
  std::vector<std::future<Outcome>> outcomes;
  for (const std::string& policy : policies) {
    outcomes.push_back(
        std::async(std::launch::async, [=, this] { return run_charm(score({policy}, "out")); }));
  }
  for (auto& future : outcomes) {
    const Outcome outcome = future.get();
    EXPECT_EQ(outcome.code, 0) << outcome.err;
  }
  const json manifest = json::parse(read_file(path(".charm/out/manifest.json")));
  EXPECT_EQ(manifest["outputs"].size(), policies.size());
  EXPECT_EQ(manifest["inputs"].size(), policies.size() + 1);
}

TEST_F(Locks, AfterAKillTheSameCommandTakesTheLockOverAndContinues) {
  ASSERT_EQ(run_charm(score({"helper", "showman"}, "straight")).code, 0);
  const std::string journal = path(".charm/out/helper.parquet.journal");
  const Outcome killed = run_charm(score({"helper", "showman"}, "out"), {.kill_when = [&] {
                                     std::error_code error;
                                     const auto size = fs::file_size(journal, error);
                                     return !error && size > 1000;
                                   }});
  ASSERT_EQ(killed.code, 128 + SIGKILL);
  ASSERT_TRUE(fs::exists(path(".charm/out/helper.parquet.lock")));
  const Outcome outcome = run_charm(score({"helper", "showman"}, "out"));
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.err,
              AllOf(HasSubstr("helper.parquet: pid "),
                    HasSubstr("has ended; its lock is taken over"), HasSubstr("resuming: ")));
  EXPECT_EQ(files_below(path("straight")).size(), files_below(path("out")).size());
  for (const char* file : {"/helper.parquet", "/showman.parquet"})
    EXPECT_EQ(read_file(path("straight") + file), read_file(path("out") + file));
}

}  // namespace
}  // namespace charm::e2e
