// A complete recipe: layout, resume, dry run, and SIGKILL at any time.

#include <gmock/gmock.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "charm/base/files.h"
#include "tests/e2e/small_world.h"

namespace charm::e2e {
namespace {

using testing::HasSubstr;

class Run : public SmallWorld {
 protected:
  Run() { num_prompts_ = 150; }

  /// A recipe with two calibration sets whose run directory is `run_dir`.
  std::string recipe(const std::string& run_dir) {
    std::string text = "run_dir: " + run_dir + "\nseed: 5\nholdout: 0.3\npolicies:\n";
    for (const demo::WorldPolicy& policy : demo::world_policies()) {
      text += "  - {name: " + policy.contestant.name + ", responses: world/responses/" +
              policy.contestant.name + ".jsonl}\n";
    }
    text +=
        "ratings: world/ratings.json\n"
        "reward_model: {name: tiny, model: rm, dtype: float32}\n"
        "calibration:\n"
        "  reference: helper\n"
        "  bootstrap: 50\n"
        "  sets:\n"
        "    one: {policies: [showman]}\n"
        "    joint: {policies: [scholar, showman, intern]}\n"
        "mismatch: {bootstrap: 50}\n"
        "preferences: {pairs: best-worst}\n"
        "training: {learning_rate: 1.0e-4, pairs_per_step: 16, dtype: float32, checkpoint_every: "
        "2}\n"
        "evaluation:\n"
        "  - {name: style, benchmark: rm-bench, data: world/style_pairs.json, bootstrap: 50, "
        "dtype: float32}\n"
        "  - {benchmark: arena, bootstrap: 50}\n";
    write_file(path(run_dir + ".yaml"), text);
    return path(run_dir + ".yaml");
  }

  /// The files that must not depend on interruptions: all without timings.
  static std::vector<std::pair<std::string, std::string>> results(const fs::path& run_dir) {
    auto files = files_below(run_dir);
    std::erase_if(files, [](const auto& file) {
      const std::string& name = file.first;
      return name.ends_with("manifest.json") || name.ends_with("metrics.jsonl") ||
             name.ends_with("report.html");
    });
    return files;
  }
};

TEST_F(Run, WritesTheLayoutAndSkipsFinishedSteps) {
  const std::string file = recipe("run");
  Outcome outcome = run_charm({"run", file, "--dry-run"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_FALSE(fs::exists(path("run/scores")));
  outcome = run_charm({"run", file});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  for (const char* name :
       {"responses/showman.parquet", "scores/tiny/showman.parquet", "mismatch/tiny.json",
        "calibration/tiny/one.json", "calibration/tiny/joint.json",
        "preferences/tiny/joint.parquet", "models/tiny/one/model.safetensors",
        "explanation/tiny/one.json", "explanation/tiny/joint.json",
        "scores/tiny-joint/intern.parquet", "mismatch/tiny-one.json", "eval/tiny/style.json",
        "eval/tiny-joint/arena.json", "comparison/tiny-joint/style.json",
        "comparison/tiny-one/arena.json", "report.html"}) {
    EXPECT_TRUE(fs::exists(path("run") + "/" + name)) << name;
  }
  for (const auto& [name, content] : files_below(path("run"))) {
    EXPECT_FALSE(name.ends_with(".lock") || name.ends_with(".journal")) << name;
    if (!name.ends_with("manifest.json")) continue;
    for (const nlohmann::json& output : nlohmann::json::parse(content)["outputs"]) {
      const auto written = output["path"].get<std::string>();
      EXPECT_TRUE(fs::exists(written)) << name << " names " << written;
      EXPECT_THAT(written, testing::Not(HasSubstr(".partial"))) << name;
    }
  }
  outcome = run_charm({"run", file});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("0 steps done"));
  outcome = run_charm({"run", file, "--from", "evaluate", "--until", "evaluate", "--fresh"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("10 steps done"));
}

TEST_F(Run, KilledAnywhereItGivesTheSameBytes) {
  const std::string file = recipe("run");
  ASSERT_EQ(run_charm({"run", file}).code, 0);
  fs::rename(path("run"),
             path("straight"));  // same path for the next run: results contain input paths
  // One kill shortly after each of these files appears, during the next step.
  int kills = 0;
  for (const char* name :
       {"run/steps/responses_intern.json", "run/steps/score_tiny.json",
        "run/steps/prefer_tiny_joint.json", "run/models/tiny/one.partial",
        "run/steps/train_tiny_joint.json", "run/steps/remeasure_tiny-joint.json"}) {
    int looks = 0;
    const std::string sign = path(name);
    const Outcome outcome = run_charm({"run", file}, {.max_file_bytes = 0, .kill_when = [&] {
                                                        return fs::exists(sign) && ++looks > 3;
                                                      }});
    kills += outcome.code == 128 + 9 ? 1 : 0;
  }
  EXPECT_GE(kills, 3);
  const Outcome outcome = run_charm({"run", file});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto straight = results(path("straight")), killed = results(path("run"));
  ASSERT_EQ(straight.size(), killed.size());
  for (std::size_t i = 0; i < straight.size(); ++i) {
    EXPECT_EQ(straight[i].first, killed[i].first);
    EXPECT_TRUE(straight[i].second == killed[i].second) << straight[i].first << " differs";
  }
}

}  // namespace
}  // namespace charm::e2e
