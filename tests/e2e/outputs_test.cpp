// Outputs never overwrite inputs, devices or foreign files; closed and broken standard streams.

#include <gmock/gmock.h>

#include "charm/base/files.h"
#include "tests/e2e/small_world.h"

namespace charm::e2e {
namespace {

using testing::HasSubstr;

class Outputs : public SmallWorld {
 protected:
  void SetUp() override {
    SmallWorld::SetUp();
    score_all();
  }

  std::string scores(const std::string& policy) const {
    return path("scores/" + policy + ".parquet");
  }
  std::string ratings() const { return path("world/ratings.json"); }

  /// Expects a usage error, and that the input given as output is unchanged.
  void expect_kept(const std::vector<std::string>& arguments, const std::string& file) {
    const std::string before = read_file(file);
    expect_failure(arguments, 2, {file, "is an input"});
    EXPECT_EQ(read_file(file), before) << file;
  }

  std::vector<std::string> score(const std::string& output) const {
    return {"score",    "--model",    path("rm"), "--responses", responses("helper"),
            "--output", path(output), "--dtype",  "float32"};
  }
  /// Runs through a shell for redirections.
  Outcome run_in_shell(const std::string& script, const std::vector<std::string>& arguments) {
    return run_charm(arguments, {.max_file_bytes = 0,
                                 .environment = {},
                                 .launcher = {"bash", "-c", script},
                                 .kill_when = {}});
  }
};

TEST_F(Outputs, AnInputIsNeverOverwritten) {
  const std::vector<std::string> both = {"--scores", scores("showman"), scores("helper")};
  expect_kept(join({{"measure", "--ratings", ratings(), "--output", ratings()}, both}), ratings());
  expect_kept(
      join({{"calibrate", "--ratings", ratings(), "--reference", "helper", "--output", ratings()},
            both}),
      ratings());
  expect_kept({"prepare", "--input", responses("helper"), "--output", responses("helper")},
              responses("helper"));
  expect_kept(
      {"score", "--model", path("rm"), "--responses", scores("helper"), "--output", path("scores")},
      scores("helper"));

  const std::string calibration = path("calibration.json");
  ASSERT_EQ(run_charm(join({{"calibrate", "--ratings", ratings(), "--reference", "helper",
                             "--output", calibration, "--bootstrap", "0"},
                            both}))
                .code,
            0);
  fs::copy_file(responses("helper"), path("battles.jsonl"));
  expect_kept({"rate", "--battles", path("battles.jsonl"), "--output", path("battles.jsonl")},
              path("battles.jsonl"));
  expect_kept(join({{"prefer", "--calibration", calibration, "--output", scores("helper")}, both}),
              scores("helper"));
  expect_kept(join({{"explain", "--calibration", calibration, "--output", calibration}, both}),
              calibration);
  expect_kept({"evaluate", "--benchmark", "rm-bench", "--model", path("rm"), "--data",
               path("world/style_pairs.json"), "--output", path("world/style_pairs.json")},
              path("world/style_pairs.json"));
}

TEST_F(Outputs, AModelFolderIsNoPlaceForScoresOrARun) {
  expect_failure(score("rm"), 2, {"rm: is a model folder", "expected a folder of scores"});
  EXPECT_FALSE(fs::exists(path("rm/.charm")));
  write_file(path("run.yaml"),
             "run_dir: rm\nscore: {model: rm}\nratings: world/ratings.json\n"
             "policies:\n  helper: {responses: " +
                 responses("helper") + "}\n  showman: {responses: " + responses("showman") + "}\n");
  expect_failure({"check", path("run.yaml")}, 3, {"run_dir", "is a model folder"});
}

TEST_F(Outputs, AFolderHoldsScoresOfOneModel) {
  fs::copy(path("rm"), path("rm2"), fs::copy_options::recursive);
  write_file(path("rm2/config.json"), read_file(path("rm/config.json")) + " ");
  fs::remove(scores("helper"));
  const std::vector<std::string> second = {"score",       "--model",           path("rm2"),
                                           "--responses", responses("helper"), "--output",
                                           path("scores")};
  expect_failure(second, 3, {"holds scores of another model", "choose another --output"},
                 scores("helper"));
}

TEST_F(Outputs, ScoresThatAreReplacedAreNamed) {
  const Outcome outcome = run_charm(join({score("scores"), {"--max-tokens", "24"}}));
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.err,
              HasSubstr("scored with other settings: its max-tokens is 256, this run's "
                        "is 24; its policy is scored again"));
}

TEST_F(Outputs, TrainingOverwritesNeitherItsModelNorForeignFiles) {
  const auto train = [&](const std::string& output) {
    return std::vector<std::string>{"train",
                                    "--model",
                                    path("rm"),
                                    "--preferences",
                                    path("world/annotations.jsonl"),
                                    "--output",
                                    output,
                                    "--pairs-per-step",
                                    "32",
                                    "--dtype",
                                    "float32"};
  };
  expect_failure(train(path("rm")), 2, {"rm", "is an input"});
  expect_failure(train(path("rm/")), 2, {"rm/", "is an input"});
  EXPECT_TRUE(fs::exists(path("rm/model.safetensors")));
  expect_failure(train(path("world")), 2, {"world", "charm train did not write"});
  expect_failure(train(responses("helper")), 4, {"helper.jsonl", "is a file"});
  EXPECT_TRUE(fs::exists(responses("helper")));
  EXPECT_EQ(run_charm(train(path("trained/"))).code, 0);
  EXPECT_TRUE(fs::exists(path("trained/model.safetensors")));
}

TEST_F(Outputs, FoldersAndDevicesAreRejectedEarly) {
  create_folders(path("folder.json"));
  for (const std::string& output : {path("folder.json"), std::string("/dev/null")}) {
    expect_failure(
        join({{"measure", "--ratings", ratings(), "--output", output, "--scores"}, all_scores()}),
        4, {output});
    expect_failure({"evaluate", "--benchmark", "rm-bench", "--model", path("rm"), "--data",
                    path("world/style_pairs.json"), "--output", output},
                   4, {output});
  }
  EXPECT_FALSE(fs::is_regular_file("/dev/null"));
}

TEST_F(Outputs, WritesThroughALink) {
  create_folders(path("elsewhere"));
  fs::create_symlink(path("elsewhere/m.json"), path("m.json"));
  ASSERT_EQ(run_charm(join({{"measure", "--ratings", ratings(), "--output", path("m.json"),
                             "--bootstrap", "0", "--scores"},
                            all_scores()}))
                .code,
            0);
  EXPECT_TRUE(fs::is_symlink(path("m.json")));
  EXPECT_TRUE(fs::is_regular_file(path("elsewhere/m.json")));
}

TEST_F(Outputs, ACommandHashesEachInputOnce) {
  const auto expect_once = [&](std::vector<std::string> arguments,
                               const std::vector<std::string>& inputs) {
    arguments.emplace_back("--verbose");
    const Outcome outcome = run_charm(arguments);
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    for (const std::string& input : inputs) {
      const std::string said = input + ": SHA-256 ";
      std::size_t count = 0;
      for (std::size_t at = 0; (at = outcome.err.find(said, at)) != std::string::npos; ++at)
        ++count;
      EXPECT_EQ(count, 1u) << arguments.front() << " hashes " << input;
    }
  };
  const std::string calibration = path("c.json"), world = path("world/style_pairs.json");
  const std::vector<std::string> scores_and_ratings = join({all_scores(), {ratings()}});
  expect_once(score("again"), {responses("helper"), path("rm/model.safetensors")});
  expect_once(join({{"measure", "--ratings", ratings(), "--bootstrap", "0", "--output",
                     path("m.json"), "--scores"},
                    all_scores()}),
              scores_and_ratings);
  expect_once(join({{"calibrate", "--ratings", ratings(), "--reference", "helper", "--bootstrap",
                     "0", "--output", calibration, "--scores"},
                    all_scores()}),
              scores_and_ratings);
  expect_once(
      join({{"prefer", "--calibration", calibration, "--output", path("f.parquet"), "--scores"},
            all_scores()}),
      join({all_scores(), {calibration}}));
  expect_once(join({{"explain", "--calibration", calibration, "--bootstrap", "0", "--output",
                     path("x.json"), "--scores"},
                    all_scores()}),
              join({all_scores(), {calibration}}));
  expect_once(join({{"evaluate", "--benchmark", "arena", "--ratings", ratings(), "--bootstrap", "0",
                     "--output", path("a.json"), "--scores"},
                    all_scores()}),
              scores_and_ratings);
  expect_once({"evaluate", "--benchmark", "rm-bench", "--model", path("rm"), "--data", world,
               "--bootstrap", "0", "--output", path("e.json")},
              {world, path("rm/model.safetensors"), path("e.scores.parquet")});
  expect_once({"train", "--model", path("rm"), "--preferences", path("f.parquet"), "--output",
               path("trained"), "--pairs-per-step", "64", "--dtype", "float32"},
              {path("f.parquet"), path("rm/model.safetensors")});
}

TEST_F(Outputs, NamesMayContainSpacesAndUnicode) {
  const std::string odd = path("mödel 模型 $x");
  fs::copy(path("rm"), odd, fs::copy_options::recursive);
  const Outcome outcome = run_charm({"score", "--model", odd, "--responses", responses("helper"),
                                     "--output", odd + "/out", "--dtype", "float32"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(read_file(odd + "/out/helper.parquet"), read_file(scores("helper")));
}

TEST_F(Outputs, ABrokenPipeEndsQuietly) {
  const Outcome outcome =
      run_in_shell("\"$0\" \"$@\" | true; exit ${PIPESTATUS[0]}", {"--help-all"});
  EXPECT_EQ(outcome.code, 128 + SIGPIPE);
  EXPECT_EQ(outcome.err, "");
}

TEST_F(Outputs, AFullStandardOutputIsAnErrorAfterWritingFiles) {
  const Outcome outcome = run_in_shell("exec \"$0\" \"$@\" > /dev/full", score("out"));
  EXPECT_EQ(outcome.code, 4);
  EXPECT_THAT(
      outcome.err,
      HasSubstr("charm score: error: cannot write to standard output: No space left on device"));
  EXPECT_EQ(read_file(path("out/helper.parquet")), read_file(scores("helper")));
}

TEST_F(Outputs, ClosedStreamsDoNotCorruptFiles) {
  for (const char* closed : {"2>&-", "<&- >&- 2>&-"}) {
    fs::remove_all(path("out"));
    const Outcome outcome = run_in_shell(std::string("exec \"$0\" \"$@\" ") + closed,
                                         join({score("out"), {"--verbose", "--fresh"}}));
    EXPECT_EQ(outcome.code, 0) << closed;
    EXPECT_EQ(read_file(path("out/helper.parquet")), read_file(scores("helper"))) << closed;
  }
}

TEST_F(Outputs, WorksWithAnEmptyEnvironment) {
  const Outcome outcome = run_charm(
      score("out"),
      {.max_file_bytes = 0,
       .environment = {},
       .launcher = {"env", "-i", "TMPDIR=/nowhere", "LC_ALL=xx_YY", "OMP_NUM_THREADS=many"},
       .kill_when = {}});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(read_file(path("out/helper.parquet")), read_file(scores("helper")));
}

}  // namespace
}  // namespace charm::e2e
