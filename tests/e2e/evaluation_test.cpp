// charm evaluate on all benchmarks and on two runs, charm prefer on several samples, and their
// errors.

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "charm/base/files.h"
#include "charm/records/preference_pair.h"
#include "charm/records/response.h"
#include "charm/storage/record_reader.h"
#include "charm/storage/record_writer.h"
#include "tests/e2e/small_world.h"

namespace charm::e2e {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class Evaluation : public SmallWorld {
 protected:
  std::string write(const std::string& name, const std::string& content) const {
    write_file(path(name), content);
    return path(name);
  }
  json result(const std::string& name) const { return json::parse(read_file(path(name))); }

  /// Rows of RewardBench 2 with a complete Ties question.
  std::string reward_bench_2() const {
    std::string rows;
    for (const char* subset : {"Factuality", "Precise IF", "Math", "Safety", "Focus"}) {
      for (int i = 0; i < 2; ++i) {
        rows += json({{"id", std::to_string(i)},
                      {"subset", subset},
                      {"prompt", "Please name a fruit."},
                      {"chosen", {"An apple."}},
                      {"rejected", {"A stone.", "", "No! \xF0\x9F\x99\x82"}},
                      {"num_correct", 1},
                      {"num_incorrect", 3},
                      {"total_completions", 4},
                      {"models", {"a", "b", "c", "d"}},
                      {"additional_metadata", {{"category", nullptr}}}})
                    .dump() +
                "\n";
      }
    }
    rows += json({{"id", "ref:0"},
                  {"subset", "Ties"},
                  {"prompt", "1 + 1?"},
                  {"chosen", {"2"}},
                  {"rejected", {"3", "4"}}})
                .dump() +
            "\n";
    rows += json({{"id", "tied:0"},
                  {"subset", "Ties"},
                  {"prompt", "An even number?"},
                  {"chosen", {"2", "4"}},
                  {"rejected", {"3"}}})
                .dump() +
            "\n";
    return rows;
  }
};

TEST_F(Evaluation, RewardBench2FromAModelFromScoresAndCompared) {
  const std::string data = write("rb2.jsonl", reward_bench_2());
  Outcome outcome =
      run_charm({"evaluate", "--benchmark", "reward-bench-2", "--model", path("rm"), "--data", data,
                 "--output", path("eval/rb2.json"), "--bootstrap", "50", "--dtype", "float32"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("Precise IF"));
  const json first = result("eval/rb2.json");
  EXPECT_TRUE(first.contains("overall_ci95"));
  EXPECT_EQ(first["num_rows"], 12);
  EXPECT_EQ(first["pair_probabilities"]["num_pairs"], 34);
  EXPECT_TRUE(first["ties_subset"].contains("preferred_hard"));
  EXPECT_EQ(json::parse(read_file(path("eval/eval-set/rm.json")))["chat_template"], "tokenizer");

  outcome = run_charm({"evaluate", "--benchmark", "reward-bench-2", "--scores",
                       path("eval/rb2.scores.parquet"), "--output", path("again.json"),
                       "--bootstrap", "50", "--model-name", "rm"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(result("again.json"), first);

  outcome = run_charm({"evaluate", "--compare", path("eval/rb2.json"),
                       path("eval/rb2.scores.parquet"), "--output", path("cmp.json")});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(result("cmp.json")["overall"]["difference"], 0.0);
  EXPECT_EQ(result("cmp.json")["overall"]["mcnemar"]["p_value"], 1.0);
  EXPECT_THAT(outcome.out, HasSubstr("B - A"));
}

TEST_F(Evaluation, ComparesTwoArenaRuns) {
  score_all();
  fs::create_directories(path("other"));
  for (const std::string& file : all_scores()) {
    std::vector<ScoredResponse> rows = storage::read_scored_responses(file, {});
    for (ScoredResponse& row : rows) row.score = -row.score;
    storage::write_scores(fs::path(path("other")) / fs::path(file).filename(), rows);
  }
  const std::vector<std::string> command = {"evaluate",     "--compare",
                                            path("scores"), path("other"),
                                            "--ratings",    path("world/ratings.json"),
                                            "--output",     path("cmp.json"),
                                            "--bootstrap",  "50"};
  const Outcome outcome = run_charm(command);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const json spearman = result("cmp.json")["correlations"]["mean_score"]["spearman"];
  EXPECT_DOUBLE_EQ(spearman["b"].get<double>(), -spearman["a"].get<double>());

  fs::remove(path("cmp.json"));
  std::vector<ScoredResponse> rows =
      storage::read_scored_responses(path("other/helper.parquet"), {});
  rows.pop_back();
  storage::write_scores(path("other/helper.parquet"), rows);
  expect_failure(command, 3, {"different responses", "1 only in A", "policy helper"},
                 path("cmp.json"));
  fs::remove_all(path("other"));
  expect_failure(command, 4, {"other", "no such file"}, path("cmp.json"));
}

TEST_F(Evaluation, InvalidInputIsReported) {
  const auto evaluate = [&](const std::string& benchmark, const std::string& scores) {
    return std::vector<std::string>{"evaluate", "--benchmark", benchmark,       "--scores",
                                    scores,     "--output",    path("out.json")};
  };
  const std::string pair =
      R"({"id": 1, "subset": "hep-go", "prompt": "p", "chosen": "a", "rejected": "b", )";
  const std::string list =
      R"({"id": "1", "subset": "Math", "prompt": "p", "chosen": ["a"], "rejected": ["b", "c"], )";
  const std::string out = path("out.json");
  const std::string good = pair + "\"score_chosen\": 1, \"score_rejected\": 0}\n";
  expect_failure(
      evaluate("reward-bench",
               write("nan.jsonl", pair + "\"score_chosen\": NaN, \"score_rejected\": 0}\n")),
      3, {"nan.jsonl:1"}, out);
  expect_failure(evaluate("reward-bench", write("gone.jsonl", pair + "\"score_chosen\": 1}\n")), 3,
                 {"gone.jsonl:1", "score_rejected"}, out);
  expect_failure(evaluate("reward-bench", write("empty.jsonl", "")), 3, {"empty.jsonl"}, out);
  expect_failure(evaluate("reward-bench", write("twice.jsonl", good + good)), 3,
                 {"twice.jsonl:2", "duplicate of row"}, out);
  const std::string lists =
      write("lists.jsonl", list + "\"score_chosen\": [1], \"score_rejected\": [0, 0]}\n");
  expect_failure(evaluate("reward-bench", lists), 3, {"lists.jsonl:1", "'rejected'", "a list of 2"},
                 out);
  expect_failure(evaluate("reward-bench-2", write("good.jsonl", good)), 3,
                 {"'chosen'", "list of at least one text"}, out);
  expect_failure(
      evaluate("reward-bench-2",
               write("short.jsonl", list + "\"score_chosen\": [1], \"score_rejected\": [0]}\n")),
      3, {"'score_rejected'", "expected 2 scores"}, out);
  expect_failure(evaluate("reward-bench-3", lists), 2, {"reward-bench-2"}, out);
  expect_failure({"evaluate", "--scores", lists, "--output", out}, 2, {"--benchmark is required"},
                 out);
  expect_failure({"evaluate", "--benchmark", "reward-bench-2", "--scores", lists}, 2,
                 {"--output is required"});
  expect_failure({"evaluate", "--compare", lists, path("good.jsonl"), "--output", out}, 3,
                 {"reward-bench-2", "one of reward-bench"}, out);
  expect_failure({"evaluate", "--compare", lists, "--output", out}, 2, {"two runs"}, out);
  expect_failure({"evaluate", "--compare", lists, lists, "--scores", lists, "--output", out}, 2,
                 {"--compare excludes --model"}, out);
  write(
      "unknown.jsonl",
      list + "\"score_chosen\": [1], \"score_rejected\": [0, 0]}\n" +
          R"({"id": "2", "subset": "Maths", "prompt": "p", "chosen": ["a"], "rejected": ["b"], "score_chosen": [1], "score_rejected": [0]})" +
          "\n");
  const Outcome outcome = run_charm(evaluate("reward-bench-2", path("unknown.jsonl")));
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("'Maths' is no subset of RewardBench 2"));
  EXPECT_EQ(result("out.json")["warnings"].size(), 1u);
}

TEST_F(Evaluation, MeasureFlagsPairsAndRejectsNamesThatDifferInCase) {
  score_all();
  const std::string ratings = path("world/ratings.json");
  const Outcome outcome = run_charm(join(
      {{"measure", "--ratings", ratings, "--output", path("m.json"), "--scores"}, all_scores()}));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("mismatch of row over column"));
  const json mismatch = result("m.json");
  EXPECT_EQ(mismatch["matrix"].size(), 4u);
  EXPECT_EQ(mismatch["multiplicity"]["num_tests"], 12);
  for (const json& pair : mismatch["pairs"]) EXPECT_LE(pair["p_value"], pair["p_value_holm"]);

  std::vector<ScoredResponse> rows =
      storage::read_scored_responses(path("scores/helper.parquet"), {});
  for (ScoredResponse& row : rows) row.response.policy = "Helper";
  storage::write_scores(path("Helper2.parquet"), rows);
  expect_failure({"measure", "--ratings", ratings, "--output", path("n.json"), "--scores",
                  path("scores/helper.parquet"), path("Helper2.parquet")},
                 3, {"'helper' and 'Helper' differ only in case"}, path("n.json"));
}

TEST_F(Evaluation, BestOfSeveralSamples) {
  std::vector<ScoredResponse> rows;
  for (int p = 0; p < 20; ++p) {
    for (int sample = 0; sample < 4; ++sample) {
      ScoredResponse row;
      row.response = {.prompt_id = "q" + std::to_string(p),
                      .prompt = {{"user", "Question " + std::to_string(p)}},
                      .response = "answer " + std::to_string(sample),
                      .policy = "helper",
                      .sample = sample,
                      .finish_reason = {},
                      .num_tokens = {}};
      row.score = static_cast<float>((p * 7 + sample * 3) % 5);
      rows.push_back(std::move(row));
    }
  }
  storage::write_scores(path("sampled.parquet"), rows);
  write(
      "calibration.json",
      R"({"reference": "scholar", "policies": [{"policy": "helper", "offset": -1.5}, {"policy": "scholar", "offset": 0}]})");
  const auto prefer = [&](const std::vector<std::string>& more, const std::string& output) {
    return join({{"prefer", "--scores", path("sampled.parquet"), "--calibration",
                  path("calibration.json"), "--output", output},
                 more});
  };
  Outcome outcome = run_charm(prefer({"--best-of-n"}, path("worst.jsonl")));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const std::vector<PreferencePair> worst = storage::read_preferences(path("worst.jsonl"), {});
  ASSERT_EQ(worst.size(), 20u);
  for (const PreferencePair& pair : worst) {
    EXPECT_EQ(pair.policy_chosen, pair.policy_rejected);
    EXPECT_GT(*pair.margin, 0.0);
    EXPECT_EQ(pair.chosen.front(), pair.rejected.front());
  }
  EXPECT_EQ(*worst[0].score_chosen, 4.0 - 1.5);  // of 0 3 1 4
  outcome = run_charm(
      prefer({"--best-of-n", "--rejected", "random", "--seed", "3"}, path("random.jsonl")));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(
      run_charm(prefer({"--best-of-n", "--rejected", "random", "--seed", "3"}, path("same.jsonl")))
          .code,
      0);
  EXPECT_EQ(read_file(path("random.jsonl")), read_file(path("same.jsonl")));
  EXPECT_NE(read_file(path("random.jsonl")), read_file(path("worst.jsonl")));
  const std::string out = path("no.jsonl");
  expect_failure(prefer({"--best-of-n", "--pairs", "all"}, out), 2, {"--pairs all"}, out);
  expect_failure(prefer({"--rejected", "random"}, out), 2, {"--best-of-n"}, out);
  expect_failure(prefer({"--best-of-n", "--rejected", "best"}, out), 2, {"worst|random"}, out);
}

}  // namespace
}  // namespace charm::e2e
