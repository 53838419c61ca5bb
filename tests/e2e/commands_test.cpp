// Every command once, on a tiny random model: files and messages.

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "charm/base/files.h"
#include "charm/records/preference_pair.h"
#include "charm/records/response.h"
#include "charm/storage/record_reader.h"
#include "tests/e2e/small_world.h"

namespace charm::e2e {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class Commands : public SmallWorld {};

TEST_F(Commands, HelpAndVersionEndWithZero) {
  EXPECT_EQ(run_charm({"--version"}).code, 0);
  EXPECT_THAT(run_charm({"--help-all"}).out,
              HasSubstr("4 reading or writing files (a full disk too)"));
  const Outcome help = run_charm({"--help"});
  EXPECT_EQ(help.code, 0);
  for (const char* name : {"prepare", "score", "measure", "calibrate", "prefer", "train",
                           "evaluate", "explain", "report", "run", "inspect", "demo"}) {
    EXPECT_THAT(help.out, HasSubstr(name));
    const Outcome own = run_charm({name, "--help"});
    EXPECT_EQ(own.code, 0) << own.err;
    EXPECT_THAT(own.out, HasSubstr("Usage: charm " + std::string(name)));
    EXPECT_THAT(own.out, HasSubstr("--threads"));
  }
}

TEST_F(Commands, WrongUsageEndsWithTwo) {
  expect_failure({"paint"}, 2, {"unknown command 'paint'", "prepare, generate, score"});
  expect_failure({"inspect", path("rm"), "--jsno"}, 2, {"unknown option --jsno", "--json"});
  expect_failure({"score"}, 2, {"required"});
  expect_failure(
      {"prepare", "--input", responses("helper"), "--output", path("p.parquet"), "--limit", "ten"},
      2, {"--limit: expected a whole number, found 'ten'"}, path("p.parquet"));
  expect_failure({"prepare", "--input", responses("helper"), "--output", path("p.xlsx")}, 2,
                 {"p.xlsx"}, path("p.xlsx"));
  EXPECT_EQ(run_charm({}).code, 2);
}

TEST_F(Commands, PrepareWritesPrompts) {
  const Outcome outcome = run_charm(
      {"prepare", "--input", responses("helper"), "--output", path("p.parquet"), "--limit", "7"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(storage::read_prompts(path("p.parquet"), {}).size(), 7u);
  EXPECT_TRUE(fs::exists(path(".charm/p.parquet.manifest.json")));
}

TEST_F(Commands, AllStagesInOrder) {
  score_all();
  for (const std::string& file : all_scores()) {
    EXPECT_EQ(storage::read_scored_responses(file, {}).size(),
              static_cast<std::size_t>(num_prompts_))
        << file;
  }
  const std::string ratings = path("world/ratings.json");
  Outcome outcome = run_charm(
      join({{"measure", "--ratings", ratings, "--output", path("mismatch.json"), "--scores"},
            all_scores()}));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(json::parse(read_file(path("mismatch.json")))["pairs"].size(), 12u);

  outcome = run_charm({"calibrate", "--scores", path("scores/showman.parquet"),
                       path("scores/helper.parquet"), "--ratings", ratings, "--reference", "helper",
                       "--output", path("calibration.json"), "--bootstrap", "50"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(json::parse(read_file(path("calibration.json")))["reference"], "helper");

  outcome = run_charm({"prefer", "--scores", path("scores/showman.parquet"),
                       path("scores/helper.parquet"), "--calibration", path("calibration.json"),
                       "--output", path("preferences.jsonl")});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_GT(storage::read_preferences(path("preferences.jsonl"), {}).size(), 30u);

  outcome = run_charm({"train", "--model", path("rm"), "--preferences", path("preferences.jsonl"),
                       "--output", path("trained"), "--learning-rate", "1e-3", "--pairs-per-step",
                       "16", "--dtype", "float32"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_TRUE(fs::exists(path("trained/model.safetensors")));
  EXPECT_TRUE(fs::exists(path("trained/config.json")));

  outcome = run_charm({"evaluate", "--benchmark", "rm-bench", "--model", path("trained"), "--data",
                       path("world/style_pairs.json"), "--output", path("eval.json"), "--bootstrap",
                       "50"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(json::parse(read_file(path("eval.json")))["num_rows"], 20);

  outcome = run_charm(join({{"evaluate", "--benchmark", "arena", "--ratings", ratings, "--output",
                             path("arena.json"), "--scores"},
                            all_scores()}));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_TRUE(json::parse(read_file(path("arena.json"))).contains("correlations"));
}

TEST_F(Commands, TrainSaysWhatLeavesAModelAsItIs) {
  const std::vector<std::string> base = {
      "train",   "--model", path("rm"), "--preferences", path("world/annotations.jsonl"),
      "--dtype", "float32", "--output"};
  Outcome outcome = run_charm(join({base, {path("one"), "--pairs-per-step", "200"}}));
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("1 optimiser step over"));
  EXPECT_THAT(outcome.err, HasSubstr("set --pairs-per-step 1 ("));
  EXPECT_THAT(outcome.err, HasSubstr("hardly changed the scores"));
  EXPECT_THAT(outcome.err, HasSubstr("raise --learning-rate 2e-06 (models below"));
  EXPECT_THAT(outcome.out, HasSubstr("1 step of 200, final training loss"));

  outcome = run_charm(join({base, {path("moved"), "--learning-rate", "1e-3"}}));
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, testing::Not(HasSubstr("warning")));

  expect_failure(join({base, {path("none"), "--learning-rate", "1e-60"}}), 3,
                 {"annotations.jsonl", "changed no weight", "raise --learning-rate"}, path("none"));
  EXPECT_FALSE(fs::exists(path("none.partial")));
  expect_failure(join({base, {path("none"), "--epochs", "1e-3"}}), 2,
                 {"--epochs 0.001", "training pairs"}, path("none"));
}

TEST_F(Commands, ScoringIsIdempotent) {
  score_all();
  const auto before = files_below(path("scores"));
  score_all();
  EXPECT_EQ(before, files_below(path("scores")));
}

TEST_F(Commands, EmptyResponsesAreScored) {
  write_file(path("empty.jsonl"),
             "{\"prompt\": \"Please name five fruits.\", \"response\": \"\"}\n");
  const Outcome outcome = run_charm({"score", "--model", path("rm"), "--responses",
                                     path("empty.jsonl"), "--output", path("out")});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto rows = storage::read_scored_responses(path("out/empty.parquet"), {});
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_FALSE(rows[0].error.has_value());
}

TEST_F(Commands, InspectMarksSpecialTokens) {
  const Outcome outcome = run_charm({"inspect", path("rm"), "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const json facts = json::parse(outcome.out);
  EXPECT_EQ(facts["architecture"], "LlamaForSequenceClassification");
  EXPECT_TRUE(facts["sample"].front()["bos"].get<bool>());
  EXPECT_TRUE(facts["sample"].back()["pooled"].get<bool>());
  EXPECT_TRUE(facts["sample_score"].is_number());
  EXPECT_EQ(run_charm({"inspect", path("rm")}).code, 0);
  EXPECT_EQ(run_charm({"inspect", path("world/untrained_model"), "--config-only"}).code, 0);
}

TEST_F(Commands, QuietPrintsNothing) {
  const Outcome outcome = run_charm(
      {"prepare", "--input", responses("helper"), "--output", path("p.parquet"), "--quiet"});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(outcome.out, "");
  EXPECT_EQ(outcome.err, "");
}

}  // namespace
}  // namespace charm::e2e
