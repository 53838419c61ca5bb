// Invalid options: exit code 2, a one-line error that names the option, no output.

#include "charm/base/files.h"
#include "tests/e2e/small_world.h"

namespace charm::e2e {
namespace {

class BadUsage : public SmallWorld {
 protected:
  void expect_score_failure(const std::vector<std::string>& options,
                            const std::vector<std::string>& parts) {
    expect_failure(join({{"score", "--model", path("rm"), "--responses", responses("helper"),
                          "--output", path("out")},
                         options}),
                   2, parts, path("out/helper.parquet"));
  }
};

TEST_F(BadUsage, NumbersOutOfRange) {
  expect_score_failure({"--max-bad-rows", "-1"}, {"--max-bad-rows: expected 0 or more, found -1"});
  expect_score_failure({"--budget-tokens", "-1"},
                       {"--budget-tokens: expected 0 or more, found -1"});
  expect_score_failure({"--max-tokens", "0"}, {"--max-tokens: expected 1 or more, found 0"});
  expect_score_failure({"--max-tokens", "1e9"},
                       {"--max-tokens: expected a whole number, found '1e9'"});
  expect_score_failure({"--max-tokens", "99999999999999999999"}, {"--max-tokens"});
  expect_score_failure({"--threads", "-1"}, {"--threads"});
  expect_score_failure({"--threads", "5000"}, {"--threads: expected 0 to 1024, found 5000"});
  for (const char* command : {"measure", "calibrate"}) {
    expect_failure(join({{command, "--ratings", path("world/ratings.json"), "--output",
                          path("c.json"), "--min-prompts", "0", "--scores"},
                         all_scores()}),
                   2, {"--min-prompts: expected 1 or more, found 0"}, path("c.json"));
  }
}

TEST_F(BadUsage, OptionsWithoutEffectOnVotes) {
  write_file(path("votes.jsonl"), "");
  const auto refused = [&](const std::vector<std::string>& options, const std::string& part) {
    expect_failure(
        join({{"measure", "--votes", path("votes.jsonl"), "--output", path("m.json")}, options}), 2,
        {part}, path("m.json"));
  };
  refused({"--holdout", "0.3"}, "--holdout has no meaning with --votes");
  refused({"--category", "full"}, "--category has no meaning with --votes");
  refused({"--alias", "a=b"}, "--alias has no meaning with --votes");
  refused({"--policy-column", "name"}, "has no meaning with --votes");
  expect_failure({"calibrate", "--votes", path("votes.jsonl"), "--reference", "a", "--alias", "a=b",
                  "--output", path("c.json")},
                 2, {"--alias need --ratings"}, path("c.json"));
  expect_failure(
      {"measure", "--votes", path("votes.jsonl"), path("votes.jsonl"), "--output", path("m.json")},
      2, {"votes.jsonl: is given twice"}, path("m.json"));
}

TEST_F(BadUsage, OptionsWithoutEffectOnSavedScores) {
  score_all();
  const Outcome outcome = run_charm(
      join({{"evaluate", "--benchmark", "arena", "--ratings", path("world/ratings.json"),
             "--max-tokens", "10", "--bootstrap", "0", "--output", path("a.json"), "--scores"},
            all_scores()}));
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_NE(outcome.err.find("--max-tokens without effect"), std::string::npos) << outcome.err;
  expect_failure(join({{"show", "--policy", "helper", "--against", "intern", "--calibration",
                        path("c.json"), "--alias", "a=b", "--scores"},
                       all_scores()}),
                 2, {"--alias need --ratings"});
  expect_failure(join({{"show", "--policy", "helper", "--against", "intern", "--calibration",
                        path("c.json"), "--ties", "half", "--scores"},
                       all_scores()}),
                 2, {"--ties has no meaning with --calibration"});
}

TEST_F(BadUsage, RatingsAreWrittenAsJson) {
  write_file(path("battles.jsonl"), "");
  for (const char* name : {"ratings.csv", "ratings.parquet"}) {
    expect_failure({"rate", "--battles", path("battles.jsonl"), "--output", path(name)}, 2, {name},
                   path(name));
  }
  expect_failure({"rate", "--battles", path("battles.jsonl"), path("battles.jsonl"), "--output",
                  path("ratings.json")},
                 2, {"battles.jsonl: is given twice"}, path("ratings.json"));
}

TEST_F(BadUsage, InvalidChoices) {
  expect_score_failure({"--truncation", "middle"},
                       {"--truncation: expected left|right|error, found 'middle'"});
  expect_score_failure({"--device", "tpu"}, {"--device: expected auto|cpu|cuda, found 'tpu'"});
  for (const char* date : {"yesterday", "2024-13-01", "2023-02-29", "2024-1-1", ""}) {
    expect_score_failure(
        {"--template-date", date},
        {"--template-date: expected a day written YYYY-MM-DD, found '" + std::string(date)});
  }
}

TEST_F(BadUsage, ArgumentsWithoutAnOption) {
  expect_failure({"score", path("rm"), responses("helper"), "--output", path("out")}, 2,
                 {"unexpected arguments '" + path("rm") + "', '" + responses("helper") + "'",
                  "write --model " + path("rm") + " --responses " + responses("helper") + ";"},
                 path("out"));
  expect_failure({"measure", "--scores", path("s.parquet"), "--output", path("m.json"),
                  path("world/ratings.json")},
                 2, {"write --ratings " + path("world/ratings.json") + ";"}, path("m.json"));
}

TEST_F(BadUsage, OptionsThatAreMissingDoubledOrUnknown) {
  expect_score_failure({"--max-tokens"}, {"--max-tokens"});
  expect_score_failure({"--max-tokens", "5", "--max-tokens", "6"},
                       {"--max-tokens: given 2 times, expected once"});
  expect_score_failure({"--max-token", "5"}, {"unknown option --max-token", "--max-tokens"});
  expect_score_failure({"--quiet", "--verbose"}, {"--quiet and --verbose"});
  expect_score_failure({"-x"}, {"-x"});
  expect_score_failure({"--quiet=maybe"}, {"--quiet"});
  expect_failure(
      {"score", "--model", "", "--responses", responses("helper"), "--output", path("out")}, 2,
      {"--model: expected a path, found an empty string"});
  expect_failure(
      {"score", "--model", path("rm"), "--responses", responses("helper"), "--output", ""}, 2,
      {"--output: expected a path, found an empty string"});
}

TEST_F(BadUsage, AMissingGpu) {
  if (fs::exists("/dev/nvidiactl")) GTEST_SKIP() << "this machine has a GPU";
  expect_failure({"score", "--model", path("rm"), "--responses", responses("helper"), "--output",
                  path("out"), "--device", "cuda"},
                 6, {"--device cuda", "--device cpu"}, path("out/helper.parquet"));
}

}  // namespace
}  // namespace charm::e2e
