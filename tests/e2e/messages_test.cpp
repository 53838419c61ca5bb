// Wrong input of every command: one line, in which nothing is said twice.

#include <gmock/gmock.h>

#include "charm/base/files.h"
#include "tests/e2e/small_world.h"
#include "tests/support/repeated_prefix.h"

namespace charm::e2e {
namespace {

using testing::HasSubstr;

class Messages : public SmallWorld {
 protected:
  std::string last_line(const std::vector<std::string>& arguments) {
    const Outcome outcome = run_charm(arguments);
    EXPECT_NE(outcome.code, 0) << testing::PrintToString(arguments);
    const std::size_t begin = outcome.err.rfind("charm " + arguments.front() + ": error: ");
    EXPECT_NE(begin, std::string::npos) << outcome.err;
    return begin == std::string::npos ? "" : outcome.err.substr(begin);
  }
};

TEST_F(Messages, RepeatNoPrefix) {
  score_all();
  const std::string ratings = path("world/ratings.json"), scores = path("scores/helper.parquet"),
                    out = path("out.json"), bench = path("world/style_pairs.json");
  write_file(path("empty.jsonl"), "");
  write_file(path("broken.json"), "{\"a\": ");
  write_file(path("map.json"), "{\"a\": 1}");
  create_folders(path("empty"));
  const std::vector<std::vector<std::string>> all = {
      {"prepare", "--input", path("gone"), "--output", path("p.parquet")},
      {"prepare", "--input", path("broken.json"), "--output", path("p.parquet")},
      {"prepare", "--input", bench, "--output", path("p.parquet"), "--limit", "0"},
      {"prepare", "--input", bench, "--output", path("p.parquet"), "--turns", "some"},
      {"generate", "--prompts", bench, "--policy", "a", "--output", path("g.parquet")},
      {"generate", "--prompts", bench, "--policy", "a", "--output", path("g.parquet"), "--server",
       "nonsense", "--server-model", "m"},
      {"generate", "--prompts", bench, "--policy", "a", "--output", path("g.parquet"), "--server",
       "http://localhost:1", "--server-model", "m", "--api-key-env", "CHARM_ABSENT"},
      {"generate", "--prompts", bench, "--policy", "a", "--output", path("g.parquet"), "--model",
       path("rm"), "--top-p", "7"},
      {"score", "--model", path("rm"), "--responses", path("gone"), "--output", path("o")},
      {"score", "--model", path("rm"), "--responses", path("empty.jsonl"), "--output", path("o")},
      {"score", "--model", path("rm"), "--responses", responses("helper"), "--output", path("o"),
       "--adapter", path("empty")},
      {"score", "--model", path("rm"), "--responses", responses("helper"), "--output", path("o"),
       "--head", "tail"},
      {"score", "--model", path("rm"), "--responses", responses("helper"), "--output", path("o"),
       "--chat-template-kwargs", "{"},
      {"score", "--model", path("empty"), "--responses", responses("helper"), "--output",
       path("o")},
      {"rate", "--battles", path("broken.json"), "--output", out},
      {"rate", "--battles", path("world/battles.jsonl"), "--output", out, "--anchor", "a=b"},
      {"rate", "--battles", path("world/battles.jsonl"), "--output", out, "--anchor", "nobody=1"},
      {"rate", "--battles", path("world/battles.jsonl"), "--output", out, "--ties", "loss"},
      {"measure", "--scores", scores, "--ratings", path("map.json"), "--output", out},
      {"measure", "--scores", scores, "--ratings", ratings, "--output", out, "--ties", "none"},
      {"measure", "--scores", scores, "--ratings", ratings, "--output", out, "--alias", "ab"},
      {"measure", "--scores", scores, "--output", out},
      {"calibrate", "--scores", scores, "--ratings", ratings, "--reference", "helper", "--output",
       out, "--mode", "none"},
      {"calibrate", "--scores", scores, "--ratings", ratings, "--reference", "helper", "--output",
       out, "--solver", "none"},
      {"calibrate", "--scores", scores, "--ratings", ratings, "--reference", "helper", "--output",
       out, "--weights", "none"},
      {"calibrate", "--scores", scores, "--ratings", ratings, "--reference", "helper", "--output",
       out, "--ties", "none"},
      {"calibrate", "--scores", scores, "--ratings", ratings, "--reference", "helper", "--output",
       out, "--interval", "none"},
      {"calibrate", "--scores", scores, "--ratings", ratings, "--reference", "nobody", "--output",
       out},
      {"calibrate", "--scores", scores, "--ratings", ratings, "--reference", "helper", "--output",
       out, "--holdout", "2"},
      {"prefer", "--scores", scores, "--calibration", ratings, "--output", path("p.txt")},
      {"prefer", "--scores", scores, "--calibration", path("broken.json"), "--output",
       path("p.jsonl")},
      {"train", "--model", path("rm"), "--preferences", path("empty.jsonl"), "--output", path("t")},
      {"train", "--model", path("rm"), "--preferences", path("gone"), "--output", path("t")},
      {"train", "--model", path("rm"), "--preferences", bench, "--output", path("t"), "--epochs",
       "0"},
      {"train", "--model", path("rm"), "--preferences", bench, "--output", path("t"), "--device",
       "tpu"},
      {"evaluate", "--benchmark", "none", "--model", path("rm"), "--data", bench, "--output", out},
      {"evaluate", "--benchmark", "rm-bench", "--output", out},
      {"evaluate", "--benchmark", "rm-bench", "--model", path("rm"), "--output", out},
      {"evaluate", "--benchmark", "arena", "--scores", scores, "--output", out},
      {"evaluate", "--benchmark", "rm-bench", "--scores", ratings, "--output", out},
      {"evaluate", "--benchmark", "rm-bench", "--model", path("rm"), "--data", bench, "--output",
       out, "--holdout", "0.5"},
      {"evaluate", "--compare", ratings, "--output", out},
      {"evaluate", "--compare", ratings, ratings},
      {"evaluate", "--compare", path("gone"), ratings},
      {"explain", "--scores", scores, "--output", out},
      {"explain", "--scores", scores, "--calibration", ratings, "--output", out},
      {"show", "--scores", scores, "--ratings", ratings, "--policy", "a", "--against", "a"},
      {"show", "--scores", scores, "--ratings", ratings, "--policy", "helper", "--against", "b"},
      {"report", "--run", path("gone")},
      {"report", "--run", path("empty")},
      {"init", path("empty"), "--output", path("i.yaml")},
      {"check", path("broken.json")},
      {"run", path("gone.yaml")},
      {"run", path("recipe.yaml"), "--from", "nowhere"},
      {"serve", "--model", path("rm"), "--port", "99999"},
      {"serve", "--model", path("empty")},
      {"inspect", path("empty")},
      {"demo", "--output", path("d"), "--prompts", "1"},
  };
  for (const std::vector<std::string>& arguments : all) {
    const std::string line = last_line(arguments);
    EXPECT_EQ(test::repeated_prefix(line), "") << line;
    EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1) << line;
  }
}

TEST_F(Messages, AComparisonSaysWhatAFileIs) {
  score_all();
  ASSERT_EQ(run_charm(join({{"measure", "--ratings", path("world/ratings.json"), "--output",
                             path("m.json"), "--bootstrap", "0", "--scores"},
                            all_scores()}))
                .code,
            0);
  write_file(path("map.json"), "{\"a\": 1}");
  expect_failure({"evaluate", "--compare", path("m.json"), path("m.json")}, 3,
                 {"m.json: is a result of charm measure; expected a result of charm evaluate"});
  expect_failure({"evaluate", "--compare", path("map.json"), path("m.json")}, 3,
                 {"map.json: is a JSON object of no kind that charm writes; expected a result of"});
}

TEST_F(Messages, AnAdapterFolderIsToldWhatItLacks) {
  create_folders(path("empty"));
  const std::string scores = path("out/helper.parquet");
  const auto score = [&](const std::string& adapter) {
    return std::vector<std::string>{"score",       "--model",           path("rm"),
                                    "--responses", responses("helper"), "--output",
                                    path("out"),   "--adapter",         adapter};
  };
  expect_failure(
      score(path("empty")), 3,
      {"--adapter", "empty: holds no adapter_config.json; expected the folder of a PEFT"}, scores);
  expect_failure(score(path("absent")), 4, {"absent: no such folder"}, scores);
  expect_failure(score(responses("helper")), 4, {"is a file"}, scores);
}

}  // namespace
}  // namespace charm::e2e
