// Scores of earlier runs are reused without being told: by policy, and by row where texts changed.

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "charm/base/files.h"
#include "tests/e2e/small_world.h"

namespace charm::e2e {
namespace {

using testing::HasSubstr;
using testing::Not;

class Reuse : public SmallWorld {
 protected:
  std::vector<std::string> score(const std::vector<std::string>& files,
                                 const std::string& output) const {
    return join({{"score", "--model", path("rm"), "--dtype", "float32", "--output", path(output),
                  "--responses"},
                 files});
  }
  void expect_scored(const std::vector<std::string>& arguments, const std::string& summary) {
    const Outcome outcome = run_charm(arguments);
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_THAT(outcome.out, HasSubstr(summary));
  }
  /// One file with the rows of several policies, told apart by a column; `changed` replaces the
  /// response of one row of the first policy.
  std::string one_file(const std::string& name, const std::vector<std::string>& policies,
                       const std::string& changed = "") {
    std::string lines;
    for (const std::string& policy : policies) {
      std::istringstream rows(read_file(responses(policy)));
      for (std::string row; std::getline(rows, row);) {
        auto json = nlohmann::ordered_json::parse(row);
        json["policy"] = policy;
        if (lines.empty() && !changed.empty()) json["response"] = changed;
        lines += json.dump() + "\n";
      }
    }
    write_file(path(name), lines);
    return path(name);
  }
  void expect_equal_scores(const std::string& a, const std::string& b,
                           const std::vector<std::string>& policies) {
    for (const std::string& policy : policies) {
      EXPECT_EQ(read_file(path(a + "/" + policy + ".parquet")),
                read_file(path(b + "/" + policy + ".parquet")))
          << policy;
    }
  }
};

TEST_F(Reuse, AnAddedPolicyIsTheOnlyOneScored) {
  const std::vector<std::string> two = {responses("helper"), responses("showman")};
  const std::vector<std::string> three = {responses("helper"), responses("showman"),
                                          responses("intern")};
  ASSERT_EQ(run_charm(score(two, "out")).code, 0);
  expect_scored(score(three, "out"), "reused 120 rows of 2 policies, scored 60 rows");
  expect_scored(score(three, "out"), "reused 180 rows of 3 policies, scored 0 rows");
  ASSERT_EQ(run_charm(score(three, "straight")).code, 0);
  expect_equal_scores("out", "straight", {"helper", "showman", "intern"});
  // Neither the name of a file nor a missing manifest decides.
  fs::copy_file(responses("helper"), path("helper.jsonl"));
  for (const auto& [name, content] : files_below(dir_)) {
    if (name.ends_with("manifest.json") && name.find("out") != std::string::npos)
      fs::remove(dir_ / name);
  }
  expect_scored(score({path("helper.jsonl")}, "out"),
                "reused 60 rows of 1 policies, scored 0 rows");
  const Outcome fresh = run_charm(join({score(three, "out"), {"--fresh"}}));
  EXPECT_EQ(fresh.code, 0) << fresh.err;
  EXPECT_THAT(fresh.out, Not(HasSubstr("reused")));
}

TEST_F(Reuse, PoliciesOfOneFileAreReusedByRow) {
  ASSERT_EQ(run_charm(score({one_file("a.jsonl", {"helper", "showman"})}, "out")).code, 0);
  expect_scored(score({one_file("a.jsonl", {"helper", "showman", "intern"})}, "out"),
                "reused 120 rows of 2 policies, scored 60 rows");
  expect_scored(
      score({one_file("a.jsonl", {"helper", "showman", "intern"}, "Another text.")}, "out"),
      "reused 179 rows of 3 policies, scored 1 rows");
  ASSERT_EQ(run_charm(score({path("a.jsonl")}, "straight")).code, 0);
  expect_equal_scores("out", "straight", {"helper", "showman", "intern"});
}

TEST_F(Reuse, OtherSettingsAreScoredAgain) {
  const std::vector<std::string> files = {responses("helper"), responses("showman")};
  ASSERT_EQ(run_charm(score(files, "out")).code, 0);
  const std::string original = read_file(path("out/helper.parquet"));
  const Outcome other =
      run_charm(join({score({responses("helper")}, "out"), {"--max-tokens", "24", "--verbose"}}));
  EXPECT_EQ(other.code, 0) << other.err;
  EXPECT_THAT(other.out, Not(HasSubstr("reused")));
  EXPECT_THAT(other.err, HasSubstr("its max-tokens is "));
  expect_scored(score(files, "out"), "reused 60 rows of 1 policies, scored 60 rows");
  EXPECT_EQ(original, read_file(path("out/helper.parquet")));
}

TEST_F(Reuse, AtAnyTimeTheFolderHoldsParquetAlone) {
  std::set<std::string> others;
  const auto look = [&] {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(path("out"), error)) {
      const std::string name = entry.path().filename().string();
      if (entry.path().extension() != ".parquet" && name != ".write.probe") others.insert(name);
    }
    return false;
  };
  const std::vector<std::string> command =
      join({score(all_responses(), "out"), {"--budget-tokens", "64"}});
  ASSERT_EQ(run_charm(command, {.kill_when = look}).code, 0);
  EXPECT_THAT(others, testing::IsEmpty());
  EXPECT_EQ(files_below(path("out")).size(), all_responses().size());
  EXPECT_TRUE(fs::exists(path(".charm/out/manifest.json")));
}

TEST_F(Reuse, ARunOfAnEarlierVersionContinues) {
  ASSERT_EQ(run_charm(score(all_responses(), "straight")).code, 0);
  const std::string journal = path(".charm/out/helper.parquet.journal");
  const std::vector<std::string> command =
      join({score({responses("helper")}, "out"), {"--budget-tokens", "64"}});
  run_charm(command, {.kill_when = [&] {
              std::error_code error;
              const auto size = fs::file_size(journal, error);
              return !error && size > 400;
            }});
  if (!fs::exists(journal)) GTEST_SKIP() << "the run ended before the kill";
  // Where earlier versions had it.
  fs::rename(journal, path("out/helper.parquet.journal"));
  const Outcome outcome = run_charm(command);
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("resuming: "));
  expect_equal_scores("out", "straight", {"helper"});
  EXPECT_EQ(files_below(path("out")).size(), 1u);
  // Its manifest moves when a policy is added.
  fs::rename(path(".charm/out/manifest.json"), path("out/manifest.json"));
  expect_scored(score(all_responses(), "out"), "reused 60 rows of 1 policies, scored 180 rows");
  EXPECT_FALSE(fs::exists(path("out/manifest.json")));
  const auto manifest = nlohmann::json::parse(read_file(path(".charm/out/manifest.json")));
  EXPECT_EQ(manifest["outputs"].size(), 4u);
}

TEST_F(Reuse, ARecipeScoresOnlyWhatWasAdded) {
  const auto recipe = [&](const std::vector<std::string>& policies) {
    std::string text = "run_dir: run\npolicies:\n";
    for (const std::string& policy : policies)
      text += "  - {name: " + policy + ", responses: world/responses/" + policy + ".jsonl}\n";
    write_file(path("recipe.yaml"), text +
                                        "ratings: world/ratings.json\nholdout: 0.3\n"
                                        "reward_model: {name: tiny, model: rm, dtype: float32}\n"
                                        "calibration: {reference: helper, bootstrap: 0}\n"
                                        "mismatch: {min_prompts: 5, bootstrap: 0}\n");
    return std::vector<std::string>{"run", path("recipe.yaml"), "--until", "measure"};
  };
  ASSERT_EQ(run_charm(recipe({"helper", "showman"})).code, 0);
  expect_scored(recipe({"helper", "showman", "intern"}),
                "done: reused 120 rows of 2 policies, scored 60 rows");
  Outcome fresh = run_charm(join({recipe({"helper", "showman", "intern"}), {"--fresh"}}));
  EXPECT_EQ(fresh.code, 0) << fresh.err;
  EXPECT_THAT(fresh.out, Not(HasSubstr("reused")));
}

}  // namespace
}  // namespace charm::e2e
