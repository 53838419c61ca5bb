// Trust in scores: provenance, agreement with other programs, and rows that must not get a score.

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "charm/base/files.h"
#include "charm/base/hashing.h"
#include "charm/base/version.h"
#include "charm/demo/language.h"
#include "charm/demo/tiny_model.h"
#include "charm/records/response.h"
#include "charm/storage/provenance.h"
#include "charm/storage/record_reader.h"
#include "charm/storage/record_writer.h"
#include "tests/e2e/small_world.h"

namespace charm::e2e {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class Trust : public SmallWorld {
 protected:
  void SetUp() override {
    SmallWorld::SetUp();
    demo::TinyModelOptions model;
    model.hidden_size = 32;
    model.intermediate_size = 64;
    model.reward_head = true;
    model.seed = 4;
    demo::write_tiny_model(dir_ / "other", demo::vocabulary(), model);
  }

  std::vector<std::string> score(const std::string& file, const std::string& output = "out",
                                 const std::string& model = "rm") const {
    return {"score",    "--model",    path(model), "--responses", file,
            "--output", path(output), "--dtype",   "float32"};
  }
  void expect_success(const std::vector<std::string>& arguments) {
    const Outcome outcome = run_charm(arguments);
    ASSERT_EQ(outcome.code, 0) << outcome.err;
  }
  std::vector<ScoredResponse> rows_of(const std::string& file) const {
    return storage::read_scored_responses(path(file), {});
  }

  /// Scores one row of the policy "row", allowing errors.
  ScoredResponse score_row(const json& row, std::vector<std::string> options = {}) {
    write_file(path("row.jsonl"), row.dump() + "\n");
    options.insert(options.end(), {"--max-bad-rows", "1", "--fresh"});
    expect_success(join({score(path("row.jsonl")), options}));
    return rows_of("out/row.parquet").front();
  }
};

TEST_F(Trust, EveryScoresFileHasItsProvenance) {
  score_all();
  const json manifest = json::parse(read_file(path(".charm/scores/manifest.json")));
  for (const std::string& file : all_scores()) {
    const auto facts = storage::read_provenance(file);
    ASSERT_TRUE(facts.has_value()) << file;
    const auto fact = [&](const char* name) {
      const std::string* value = storage::find_fact(*facts, name);
      return value == nullptr ? std::string("absent") : *value;
    };
    EXPECT_EQ(fact("version"), kVersion);
    EXPECT_EQ(fact("tokenizer_sha256"), sha256_file(path("rm/tokenizer.json")));
    EXPECT_EQ(fact("template_sha256").size(), 64u);
    EXPECT_EQ(fact("model_sha256").size(), 64u);
    EXPECT_EQ(fact("dtype"), "float32");
    EXPECT_EQ(fact("device"), "cpu");
    EXPECT_NE(fact("gemm_backend"), "absent");
    EXPECT_EQ(fact("truncation"), "left");
    for (const auto& [name, value] : *facts) EXPECT_EQ(manifest["provenance"][name], value) << name;
  }
}

TEST_F(Trust, AnotherModelsScoresAreNotReplaced) {
  expect_success(score(responses("helper")));
  const std::string before = read_file(path("out/helper.parquet"));
  const Outcome outcome = run_charm(score(responses("helper"), "out", "other"));
  EXPECT_EQ(outcome.code, 3);
  EXPECT_THAT(outcome.err, HasSubstr("holds scores of another model"));
  EXPECT_EQ(read_file(path("out/helper.parquet")), before);
  expect_success(join({score(responses("helper"), "out", "other"), {"--fresh"}}));
  EXPECT_NE(read_file(path("out/helper.parquet")), before);
}

TEST_F(Trust, AnotherModelsJournalIsNotResumed) {
  const std::string journal = path(".charm/out/helper.parquet.journal");
  const auto begun = [&] {
    std::error_code error;
    return fs::file_size(journal, error) > 200 && !error;
  };
  const auto command = join({score(responses("helper")), {"--budget-tokens", "64"}});
  run_charm(command, {.max_file_bytes = 0, .kill_when = begun});
  if (!fs::exists(journal)) GTEST_SKIP() << "the run ended before the kill";
  expect_failure(score(responses("helper"), "out", "other"), 3,
                 {"helper.parquet.journal", "scored with another model", "--fresh"},
                 path("out/helper.parquet"));
  expect_success(command);
}

TEST_F(Trust, ResumeReusesRowsOfTheSameModel) {
  const std::string all = read_file(responses("helper"));
  std::size_t end = 0;
  for (int i = 0; i < 20; ++i) end = all.find('\n', end) + 1;
  fs::create_directories(path("part"));
  write_file(path("part/helper.jsonl"), all.substr(0, end));
  expect_success(score(path("part/helper.jsonl"), "first"));
  expect_success(score(responses("helper"), "straight"));
  const Outcome outcome = run_charm(
      join({score(responses("helper"), "resumed"), {"--resume", path("first/helper.parquet")}}));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("reused 20 rows of 1 policies, scored 40 rows"));
  EXPECT_EQ(read_file(path("resumed/helper.parquet")), read_file(path("straight/helper.parquet")));

  expect_failure(join({score(responses("helper"), "out", "other"),
                       {"--resume", path("first/helper.parquet")}}),
                 3, {"--resume", "first/helper.parquet", "model_sha256"},
                 path("out/helper.parquet"));
  expect_failure(join({score(responses("helper")),
                       {"--truncation", "right", "--resume", path("first/helper.parquet")}}),
                 3, {"truncation is left, this run's is right"}, path("out/helper.parquet"));
  storage::write_scores(path("first/helper.jsonl"), rows_of("first/helper.parquet"));
  expect_failure(join({score(responses("helper")), {"--resume", path("first/helper.jsonl")}}), 3,
                 {"does not say which model"}, path("out/helper.parquet"));
}

TEST_F(Trust, CheckComparesWithOtherScores) {
  expect_success(score(responses("helper")));
  std::vector<ScoredResponse> theirs = rows_of("out/helper.parquet");
  storage::write_scores(path("same.jsonl"), theirs);
  const Outcome same =
      run_charm(join({score(responses("helper")), {"--check", path("same.jsonl")}}));
  EXPECT_EQ(same.code, 0) << same.err;
  EXPECT_THAT(same.out, HasSubstr("60 rows compared, joined by policy and prompt_id"));
  EXPECT_THAT(same.out, HasSubstr("Spearman): 1.000000"));
  EXPECT_THAT(same.out, HasSubstr("verdict: equal: 0 of 60 rows beyond 0.0001"));

  theirs[7].score += 0.5f;
  storage::write_scores(path("moved.parquet"), theirs);
  const auto check = [&](std::vector<std::string> more) {
    return run_charm(
        join({score(responses("helper"), "fresh"), {"--check", path("moved.parquet")}, more}));
  };
  const Outcome moved = check({});
  EXPECT_EQ(moved.code, 3);
  EXPECT_THAT(moved.out, HasSubstr("helper " + theirs[7].response.prompt_id + ": "));
  EXPECT_THAT(moved.out, HasSubstr("verdict: DIFFERENT: 1 of 60 rows"));
  EXPECT_THAT(moved.err, HasSubstr("moved.parquet: 1 of 60 scores differ by more than 0.0001"));
  EXPECT_TRUE(fs::exists(path("fresh/helper.parquet")));  // scores are written anyway
  EXPECT_EQ(check({"--quiet"}).code, 3);
  EXPECT_EQ(check({"--tolerance", "1"}).code, 0);
  EXPECT_EQ(check({"--tolerance", "-1"}).code, 2);
  EXPECT_EQ(run_charm(join({score(responses("helper")), {"--tolerance", "1"}})).code, 2);
}

TEST_F(Trust, ATemplateThatRejectsIsReported) {
  write_file(path("strict.jinja"),
             "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ "
             "raise_exception('Roles must alternate user/assistant') }}{% endif %}{{ m.content }} "
             "{% endfor %}");
  const json twice = {
      {"prompt",
       {{{"role", "user"}, {"content", "name"}}, {{"role", "user"}, {"content", "five"}}}},
      {"response", "fruits"}};
  write_file(path("row.jsonl"), twice.dump() + "\n");
  const auto command = join({score(path("row.jsonl")), {"--template", path("strict.jinja")}});
  expect_failure(
      command, 3,
      {"strict.jinja: the template refuses this conversation: Roles must alternate user/assistant",
       "prompt"},
      path("out/row.parquet"));
  const ScoredResponse row = score_row(twice, {"--template", path("strict.jinja")});
  ASSERT_TRUE(row.error.has_value());
  EXPECT_THAT(*row.error, HasSubstr("Roles must alternate"));

  write_file(path("broken.jinja"), "{% for m in messages %}{{ m.content }}");
  expect_failure(join({score(path("row.jsonl"), "out2"), {"--template", path("broken.jinja")}}), 3,
                 {"broken.jinja"}, path("out2/row.parquet"));
}

TEST_F(Trust, TokensBeyondTheEmbeddingHaveNoScore) {
  json config = json::parse(read_file(path("rm/tokenizer_config.json")));
  config["added_tokens_decoder"] = {{"99999", {{"content", "<new>"}, {"special", true}}}};
  write_file(path("rm/tokenizer_config.json"), config.dump());
  const ScoredResponse row =
      score_row({{"prompt", "name five fruits"}, {"response", "apple <new>"}});
  ASSERT_TRUE(row.error.has_value());
  EXPECT_THAT(*row.error, HasSubstr("out of range for the model's vocabulary"));
  const ScoredResponse fine = score_row({{"prompt", "name five fruits"}, {"response", "apple"}});
  EXPECT_EQ(fine.error, std::nullopt);
  EXPECT_THAT(run_charm({"inspect", path("rm"), "--config-only"}).out,
              HasSubstr("some tokens cannot be scored"));
}

TEST_F(Trust, AVeryLongResponseIsTruncated) {
  std::string text;
  for (int i = 0; i < 100000; ++i) text += "apple ";
  const json row = {{"prompt", "name five fruits"}, {"response", text}};
  const ScoredResponse left = score_row(row);
  EXPECT_EQ(left.error, std::nullopt);
  EXPECT_TRUE(left.truncated);
  EXPECT_EQ(left.num_tokens, 256);  // the model's positions, fewer than --max-tokens
  const ScoredResponse right = score_row(row, {"--truncation", "right", "--max-tokens", "100"});
  EXPECT_TRUE(right.truncated);
  EXPECT_EQ(right.num_tokens, 100);
  const ScoredResponse rejected = score_row(row, {"--truncation", "error"});
  ASSERT_TRUE(rejected.error.has_value());
  EXPECT_THAT(*rejected.error, HasSubstr("more than --max-tokens 256"));
  EXPECT_EQ(score_row({{"prompt", "name"}, {"response", "apple"}}).truncated, false);
}

TEST_F(Trust, InspectShowsTheSettingsUsed) {
  const Outcome outcome = run_charm(
      {"inspect", path("rm"), "--json", "--dtype", "float32", "--sample", responses("helper")});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const json facts = json::parse(outcome.out);
  EXPECT_EQ(facts["tokenizer"]["sha256"], sha256_file(path("rm/tokenizer.json")));
  EXPECT_EQ(facts["chat_template"]["sha256"].get<std::string>().size(), 64u);
  EXPECT_EQ(facts["used"]["dtype"], "float32");
  EXPECT_GT(facts["speed"]["tokens_per_second"].get<double>(), 0.0);
  EXPECT_EQ(facts["samples"].size(), 60u);
  EXPECT_EQ(facts["samples"][0]["ids"].size(), facts["sample"].size());
  EXPECT_GT(facts["memory_bytes"]["float32"].get<double>(), 0.0);
  expect_success(score(responses("helper")));
  EXPECT_FLOAT_EQ(facts["sample_score"].get<float>(), rows_of("out/helper.parquet").front().score);
  EXPECT_THAT(run_charm({"inspect", path("rm")}).out, HasSubstr("tokens/s (measured"));
}

}  // namespace
}  // namespace charm::e2e
