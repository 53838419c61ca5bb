#include "charm/report/run_data.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "charm/base/error.h"
#include "tests/support/expect_error.h"
#include "tests/unit/report/made_up_run.h"

namespace charm::report {
namespace {

class ReadRun : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) / ("charm_read_run_" + std::to_string(::getpid()));
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  fs::path folder_;
};

TEST_F(ReadRun, TakesEveryKindOfFile) {
  write_made_up_run(folder_);
  const RunData run = read_run(folder_);
  ASSERT_EQ(run.mismatches.size(), 2u);
  EXPECT_EQ(run.mismatches[0].pairs.size(), 6u);
  EXPECT_DOUBLE_EQ(run.mismatch_of("rm-duo")->pairs[2].before.mismatch.value, 0.05);
  ASSERT_EQ(run.calibrations.size(), 1u);
  EXPECT_EQ(run.calibrations[0].retrained_model(), "rm-duo");
  EXPECT_EQ(run.calibrations[0].policies[1].offset.ci95->lo, -1.0);
  ASSERT_TRUE(run.calibrations[0].held_out);
  EXPECT_EQ(run.calibrations[0].held_out->num_prompts, 79);
  EXPECT_EQ(run.calibrations[0].held_out->mean->after, 0.07);
  EXPECT_EQ(run.calibrations[0].held_out->pairs.at(0).after->mismatch.value, 0.043);
  EXPECT_EQ(run.calibrations[0].warnings,
            std::vector<std::string>{"scores of 'plain' were dropped"});
  ASSERT_EQ(run.scores.size(), 2u);
  EXPECT_EQ(run.scores[0].policies[0].num_scores, 59);
  EXPECT_EQ(run.scores[0].policies[0].num_errors, 1);
  ASSERT_EQ(run.trainings.size(), 1u);
  EXPECT_EQ(run.trainings[0].points.size(), 24u);
  EXPECT_TRUE(run.trainings[0].points[0].is_held_out);
  EXPECT_EQ(run.evaluations.size(), 4u);
  ASSERT_EQ(run.manifests.size(), 1u);
  EXPECT_EQ(run.manifests[0].path, "models/rm/duo/manifest.json");
  EXPECT_EQ(run.ratings.at("solid"), 1250);
}

TEST_F(ReadRun, ResultsOfCommandsRunOneByOneAreTakenByTheirContent) {
  write_made_up_run(folder_ / "run");
  const fs::path flat = folder_ / "flat";
  fs::create_directories(flat);
  fs::copy(folder_ / "run/mismatch/rm.json", flat / "before.json");
  fs::copy(folder_ / "run/calibration/rm/duo.json", flat / "calibration.json");
  fs::copy(folder_ / "run/eval/rm/rm-bench.json", flat / "bench.json");
  fs::copy(folder_ / "run/models/rm/duo", flat / "trained");
  write_file(flat / "other.json", "[1]");
  write_file(flat / "ratings.json", R"({"solid": 1250})");
  const RunData run = read_run(flat);
  ASSERT_EQ(run.mismatches.size(), 1u);
  EXPECT_EQ(run.mismatches[0].pairs.size(), 6u);
  ASSERT_EQ(run.calibrations.size(), 1u);
  EXPECT_EQ(run.calibrations[0].set, "calibration");
  EXPECT_EQ(run.evaluations.size(), 1u);
  ASSERT_EQ(run.trainings.size(), 1u);
  EXPECT_EQ(run.trainings[0].set, "trained");
  EXPECT_EQ(run.ratings.at("solid"), 1250);
}

TEST_F(ReadRun, AnEmptyDirectoryIsEmptyAndAMissingOneAnError) {
  EXPECT_TRUE(read_run(folder_).empty());
  EXPECT_ERROR(kIo, "no such folder", read_run(folder_ / "none"));
}

TEST_F(ReadRun, ABrokenFileIsNamed) {
  write_file(folder_ / "mismatch" / "rm.json", "{");
  try {
    read_run(folder_);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    EXPECT_THAT(error.message(), testing::HasSubstr("rm.json"));
  }
}

}  // namespace
}  // namespace charm::report
