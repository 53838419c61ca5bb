#include "charm/pipeline/runner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/support/expect_error.h"
#include "tests/unit/base/temp_folder.h"

namespace charm::pipeline {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// A chain of two steps that copy text: input -> middle -> end.
class RunnerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    write_file(dir_ / "input", "1");
    plan_.push_back(copy_step("score", "first", dir_ / "input", dir_ / "run/middle"));
    plan_.push_back(copy_step("measure", "second", dir_ / "run/middle", dir_ / "run/end"));
  }

  Step copy_step(const std::string& stage, const std::string& name, const fs::path& from,
                 const fs::path& to) {
    return {.stage = stage,
            .name = name,
            .inputs = {from},
            .outputs = {to},
            .settings = {{.name = "k", .values = {"v"}}},
            .run = [this, name, from, to](const StepContext&) {
              ran_.push_back(name);
              if (fail_ == name) throw Error(ErrorKind::kInput, "broken");
              write_file(to, read_file(from) + "+" + name);
            }};
  }

  std::vector<std::string> run(const RunOptions& options = {}) {
    ran_.clear();
    run_plan(plan_, dir_ / "run", options, [](std::size_t, const StepReport&) {}, {});
    return ran_;
  }

  const testing::TempFolder dir_;
  std::vector<Step> plan_;
  std::vector<std::string> ran_;
  std::string fail_;
};

TEST_F(RunnerTest, KeepsWhatIsFinished) {
  EXPECT_THAT(run(), ElementsAre("first", "second"));
  EXPECT_EQ(read_file(dir_ / "run/end"), "1+first+second");
  EXPECT_THAT(run(), ElementsAre());
}

TEST_F(RunnerTest, RunsAgainFromTheFirstChangedInput) {
  run();
  write_file(dir_ / "input", "2");
  EXPECT_THAT(run(), ElementsAre("first", "second"));
  EXPECT_EQ(read_file(dir_ / "run/end"), "2+first+second");
}

TEST_F(RunnerTest, ChangedSettingsRunTheStepAndWhatItsOutputChanges) {
  run();
  plan_[1].settings[0].values = {"other"};
  EXPECT_THAT(run(), ElementsAre("second"));
}

TEST_F(RunnerTest, AMissingOutputIsMadeAgain) {
  run();
  fs::remove(dir_ / "run/middle");
  EXPECT_THAT(run(), ElementsAre("first")) << "the second step's input is the same as before";
}

TEST_F(RunnerTest, GoesOnWithTheStepThatFailed) {
  fail_ = "second";
  try {
    run();
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.message(), HasSubstr("step 'second': broken"));
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
  }
  fail_.clear();
  EXPECT_THAT(run(), ElementsAre("second"));
}

TEST_F(RunnerTest, ATornRecordRunsTheStepAgain) {
  run();
  write_file(dir_ / "run/steps/first.json", "{\"step\":");
  EXPECT_THAT(run(), ElementsAre("first"));
}

TEST_F(RunnerTest, FromAndUntilBoundTheStages) {
  EXPECT_THAT(run({.until = "score"}), ElementsAre("first"));
  EXPECT_THAT(run({.from = "measure"}), ElementsAre("second"));
  EXPECT_THAT(run({.from = "measure", .fresh = true}), ElementsAre("second"));
  EXPECT_ERROR(kUsage, "--from measure comes after --until score",
               run({.from = "measure", .until = "score"}));
  EXPECT_ERROR(kUsage, "unknown stage 'cook'", run({.from = "cook"}));
  fs::remove(dir_ / "run/middle");
  try {
    run({.from = "measure"});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    EXPECT_THAT(error.message(), HasSubstr("middle"));
  }
}

TEST_F(RunnerTest, AStepThatReusesItsOutputsKeepsThemAndIsNotFinishedUntilItEnds) {
  plan_[0].reuses_outputs = true;
  run();
  write_file(dir_ / "input", "2");
  fail_ = "first";
  EXPECT_ERROR(kInput, "broken", run());
  EXPECT_EQ(read_file(dir_ / "run/middle"), "1+first");
  EXPECT_ERROR(kUsage, "the earlier step 'first' was interrupted", run({.from = "measure"}));
  fail_.clear();
  EXPECT_THAT(run(), ElementsAre("first", "second"));
  EXPECT_EQ(read_file(dir_ / "run/end"), "2+first+second");
}

TEST_F(RunnerTest, ResultsThatTheRecipeNoLongerHasStayAndAreListed) {
  const fs::path list = dir_ / "run/steps/earlier.json";
  // A step for each policy, and one with a file for each.
  plan_[0].outputs.push_back(dir_ / "run/scores-b");
  plan_[0].run = [this](const StepContext&) {
    for (const fs::path& output : plan_[0].outputs) write_file(output, "s");
  };
  run();
  EXPECT_FALSE(fs::exists(list));
  const std::vector<Step> whole = plan_;
  plan_.pop_back();
  plan_[0].outputs.pop_back();
  plan_[0].settings[0].values = {"without b"};
  run();
  const auto listed = [&] { return nlohmann::json::parse(read_file(list))["outputs"]; };
  EXPECT_EQ(listed(), nlohmann::json({"end", "scores-b"}));
  EXPECT_TRUE(fs::exists(dir_ / "run/scores-b"));
  run();
  EXPECT_EQ(listed(), nlohmann::json({"end", "scores-b"})) << "also when no step runs";
  plan_ = whole;
  run();
  EXPECT_EQ(listed(), nlohmann::json::array());
}

TEST_F(RunnerTest, FreshRunsEverything) {
  run();
  EXPECT_THAT(run({.fresh = true}), ElementsAre("first", "second"));
}

TEST_F(RunnerTest, ADryRunDoesNothing) {
  std::vector<StepState> states;
  run_plan(plan_, dir_ / "run", {.dry_run = true},
           [&](std::size_t, const StepReport& report) { states.push_back(report.state); }, {});
  EXPECT_THAT(states, ElementsAre(StepState::kRun, StepState::kRun));
  EXPECT_FALSE(fs::exists(dir_ / "run"));
}

}  // namespace
}  // namespace charm::pipeline
