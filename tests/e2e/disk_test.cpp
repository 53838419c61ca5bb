// Unwritable outputs: exit code 4, an error that names the path, no output.

#include <sys/mount.h>
#include <unistd.h>

#include "charm/base/files.h"
#include "tests/e2e/small_world.h"

namespace charm::e2e {
namespace {

class Disk : public SmallWorld {};

TEST_F(Disk, OutputsBelowAFileCannotBeWritten) {
  write_file(path("file"), "not a folder");
  expect_failure({"prepare", "--input", responses("helper"), "--output", path("file/p.parquet")}, 4,
                 {"file"});
  expect_failure({"score", "--model", path("rm"), "--responses", responses("helper"), "--output",
                  path("file/out")},
                 4, {"file"});
  expect_failure({"train", "--model", path("rm"), "--preferences", path("world/annotations.jsonl"),
                  "--output", path("file/t")},
                 4, {"file"});
  score_all();
  expect_failure(join({{"measure", "--ratings", path("world/ratings.json"), "--output",
                        path("file/m.json"), "--scores"},
                       all_scores()}),
                 4, {"file"});
  expect_failure({"evaluate", "--benchmark", "rm-bench", "--model", path("rm"), "--data",
                  path("world/style_pairs.json"), "--output", path("file/e.json")},
                 4, {"file"});
}

TEST_F(Disk, AFileSizeLimitLeavesNoOutput) {
  const Outcome outcome =
      run_charm(join({{"score", "--model", path("rm"), "--output", path("out"), "--responses"},
                      all_responses()}),
                {.max_file_bytes = 1000, .kill_when = {}});
  EXPECT_EQ(outcome.code, 4) << outcome.err;
  EXPECT_NE(outcome.err.find(path(".charm/out/")), std::string::npos) << outcome.err;  // a journal
  EXPECT_FALSE(fs::exists(path("out/helper.parquet")));

  const Outcome training =
      run_charm({"train", "--model", path("rm"), "--preferences", path("world/annotations.jsonl"),
                 "--output", path("trained"), "--pairs-per-step", "32", "--dtype", "float32"},
                {.max_file_bytes = 20000, .kill_when = {}});
  EXPECT_EQ(training.code, 4) << training.err;
  EXPECT_FALSE(fs::exists(path("trained")));
}

TEST_F(Disk, EveryStageReportsItsFileAndLeavesNone) {
  score_all();
  const std::string ratings = path("world/ratings.json");
  // Enough for standard error, which is a file too.
  const auto expect_disk_full = [&](const std::vector<std::string>& arguments,
                                    const std::string& output) {
    const Outcome outcome =
        run_charm(arguments, {.max_file_bytes = 600, .environment = {}, .kill_when = {}});
    EXPECT_EQ(outcome.code, 4) << arguments[0] << ": " << outcome.err;
    EXPECT_NE(outcome.err.find(output), std::string::npos) << outcome.err;
    EXPECT_FALSE(fs::exists(output)) << output;
    EXPECT_FALSE(fs::exists(partial_path(output))) << output;
  };
  const auto measure =
      join({{"measure", "--ratings", ratings, "--output", path("run/mismatch/rm.json"), "--scores"},
            all_scores()});
  const auto calibrate = join({{"calibrate", "--ratings", ratings, "--reference", "helper",
                                "--bootstrap", "0", "--output", path("c.json"), "--scores"},
                               all_scores()});
  expect_disk_full({"prepare", "--input", responses("helper"), "--output", path("p.parquet")},
                   path("p.parquet"));
  expect_disk_full(measure, path("run/mismatch/rm.json"));
  expect_disk_full(calibrate, path("c.json"));
  ASSERT_EQ(run_charm(measure).code, 0);
  ASSERT_EQ(run_charm(calibrate).code, 0);
  for (const char* name : {"preferences.parquet", "preferences.jsonl"}) {
    expect_disk_full(
        join({{"prefer", "--calibration", path("c.json"), "--output", path(name), "--scores"},
              all_scores()}),
        path(name));
  }
  expect_disk_full({"report", "--run", path("run")}, path("run/report.html"));
  expect_disk_full(join({{"evaluate", "--benchmark", "arena", "--ratings", ratings, "--output",
                          path("a.json"), "--scores"},
                         all_scores()}),
                   path("a.json"));
}

TEST_F(Disk, AFullDiskLeavesNoOutputAndTheRunResumes) {
  create_folders(path("small"));
  if (mount("tmpfs", path("small").c_str(), "tmpfs", 0, "size=24k") != 0)
    GTEST_SKIP() << "needs permission to mount a tmpfs";
  struct Unmount {
    std::string where;
    ~Unmount() { umount2(where.c_str(), MNT_DETACH); }
  } unmount{path("small")};
  const std::vector<std::string> score = {"score",
                                          "--model",
                                          path("rm"),
                                          "--responses",
                                          responses("helper"),
                                          responses("showman"),
                                          responses("intern"),
                                          responses("scholar"),
                                          "--output",
                                          path("small/out")};
  const Outcome outcome = run_charm(score);
  EXPECT_EQ(outcome.code, 4) << outcome.err;
  EXPECT_FALSE(fs::exists(path("small/out/scholar.parquet")));
  EXPECT_NE(outcome.err.find("No space left on device"), std::string::npos) << outcome.err;
  ASSERT_EQ(mount("tmpfs", path("small").c_str(), "tmpfs", MS_REMOUNT, "size=4m"), 0);
  EXPECT_EQ(run_charm(score).code, 0);
  EXPECT_TRUE(fs::exists(path("small/out/scholar.parquet")));
}

TEST_F(Disk, AFullDiskIsNamedWhereParquetIsWritten) {
  create_folders(path("small"));
  if (mount("tmpfs", path("small").c_str(), "tmpfs", 0, "size=16k") != 0)
    GTEST_SKIP() << "needs permission to mount a tmpfs";
  std::string prompts;
  for (int i = 0; i < 2000; ++i)
    prompts += "{\"prompt\": \"" + std::to_string(i * 7919LL * 104729 % 1000003) + "\"}\n";
  write_file(path("many.jsonl"), prompts);
  const std::string output = path("small/p.parquet");
  expect_failure({"prepare", "--input", path("many.jsonl"), "--output", output}, 4,
                 {"p.parquet", "No space left on device"}, output);
  umount2(path("small").c_str(), MNT_DETACH);
}

}  // namespace
}  // namespace charm::e2e
