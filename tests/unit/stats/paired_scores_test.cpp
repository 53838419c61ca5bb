#include "charm/stats/paired_scores.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "charm/base/error.h"
#include "charm/records/score.h"

namespace charm::stats {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Score row(std::string policy, std::string prompt, float score, std::int32_t sample = 0) {
  return {.prompt_id = std::move(prompt),
          .policy = std::move(policy),
          .sample = sample,
          .score = score,
          .error = {}};
}

PairedScoresOptions few() {
  PairedScoresOptions options;
  options.min_prompts = 1;
  return options;
}

void expect_error(const std::vector<ScoreFile>& files, const PairedScoresOptions& options,
                  ErrorKind kind, const std::string& part) {
  try {
    const PairedScores scores(files, options);
    scores.pair(0, 1);
    FAIL() << "expected an error with: " << part;
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    EXPECT_THAT(error.message(), HasSubstr(part));
  }
}

TEST(PairedScores, JoinsByPromptNotByRow) {
  const std::vector<ScoreFile> files = {
      {"a.parquet", {row("a", "p1", 1), row("a", "p2", 2), row("a", "p3", 3)}},
      {"b.parquet", {row("b", "p3", 30), row("b", "p1", 10), row("b", "p4", 40)}}};
  const PairedScores scores(files, few());
  const PairRows pair = scores.pair(0, 1);
  EXPECT_THAT(pair.over, ElementsAre(1.0, 3.0));
  EXPECT_THAT(pair.ref, ElementsAre(10.0, 30.0));
  EXPECT_EQ(pair.num_prompts, 2);
  EXPECT_EQ(pair.missing_over, 1);
  EXPECT_EQ(pair.missing_ref, 1);
  EXPECT_EQ(scores.num_prompts(), 4u);
  EXPECT_DOUBLE_EQ(scores.policy(0).mean_score, 2.0);
}

TEST(CommonPromptsText, SaysWhatIsCommonAndWhatIsNot) {
  using Counts = std::vector<std::int64_t>;
  EXPECT_EQ(common_prompts_text(Counts{1250}, 1250), "1250 common prompts");
  EXPECT_EQ(common_prompts_text(Counts{1250}, 1650),
            "1250 common prompts (400 of 1650 are not common)");
  EXPECT_EQ(common_prompts_text(Counts{400, 300, 350}, 450),
            "300 to 400 common prompts a pair (of 450 in all)");
}

TEST(PairedScores, FirstPolicyGivesTheOrder) {
  const std::vector<ScoreFile> files = {
      {"a", {row("a", "p1", 1), row("a", "p2", 2), row("a", "p3", 3)}},
      {"b", {row("b", "p3", 30), row("b", "p1", 10), row("b", "p2", 20)}}};
  PairedScoresOptions options = few();
  options.first_policy = "b";
  const PairedScores scores(files, options);
  EXPECT_THAT(scores.pair(0, 1).ref, ElementsAre(30.0, 10.0, 20.0));
  EXPECT_THAT(scores.names(), ElementsAre("a", "b"));
}

TEST(PairedScores, SampleMeetsSampleAndPromptsCluster) {
  const std::vector<ScoreFile> files = {
      {"a", {row("a", "p1", 1, 0), row("a", "p1", 2, 1), row("a", "p2", 3, 0)}},
      {"b", {row("b", "p1", 20, 1), row("b", "p1", 10, 0), row("b", "p2", 30, 1)}}};
  const PairedScores scores(files, few());
  const PairRows pair = scores.pair(0, 1);
  EXPECT_THAT(pair.over, ElementsAre(1.0, 2.0));
  EXPECT_THAT(pair.ref, ElementsAre(10.0, 20.0));
  EXPECT_EQ(pair.num_prompts, 1);
  EXPECT_EQ(pair.prompt[0], pair.prompt[1]);
}

TEST(PairedScores, RowsWithErrorsAreDroppedAndCounted) {
  Score failed = row("a", "p2", std::numeric_limits<float>::quiet_NaN());
  failed.error = "too long";
  const std::vector<ScoreFile> files = {{"a", {row("a", "p1", 1), failed}},
                                        {"b", {row("b", "p1", 2), row("b", "p2", 3)}}};
  const PairedScores scores(files, few());
  EXPECT_EQ(scores.policy(0).num_errors, 1);
  EXPECT_EQ(scores.policy(0).num_scores, 1);
  EXPECT_EQ(scores.pair(0, 1).num_prompts, 1);
}

TEST(PairedScores, EachPairUsesItsOwnPrompts) {
  const std::vector<ScoreFile> files = {
      {"a", {row("a", "p1", 1), row("a", "p2", 2)}},
      {"b", {row("b", "p2", 1), row("b", "p3", 2)}},
      {"c", {row("c", "p1", 1), row("c", "p2", 2), row("c", "p3", 2)}}};
  const PairedScores scores(files, few());
  EXPECT_EQ(scores.pair(0, 1).num_prompts, 1);
  EXPECT_EQ(scores.pair(0, 2).num_prompts, 2);
}

TEST(PairedScores, OneFileMayHoldSeveralPoliciesAndASubsetMayBeTaken) {
  const std::vector<ScoreFile> files = {
      {"all", {row("a", "p1", 1), row("b", "p1", 2), row("c", "p1", 3), row("d", "p1", 4)}}};
  PairedScoresOptions options = few();
  options.policies = {"b"};
  options.first_policy = "d";
  EXPECT_THAT(PairedScores(files, options).names(), ElementsAre("b", "d"));
}

TEST(PairedScores, WrongInput) {
  const ScoreFile a{"a.jsonl", {row("a", "p1", 1)}};
  const ScoreFile b{"b.jsonl", {row("b", "p1", 1)}};
  const ScoreFile other{"other.jsonl", {row("a", "p9", 1)}};
  const ScoreFile apart{"apart.jsonl", {row("b", "p9", 1)}};
  expect_error({a, other}, few(), ErrorKind::kInput,
               "policy 'a' occurs in two files: a.jsonl and other.jsonl");
  expect_error({a, apart}, few(), ErrorKind::kInput, "no prompt in common");
  expect_error({a, b}, {}, ErrorKind::kInput,
               "1 prompts in common, expected at least 30 (--min-prompts)");

  PairedScoresOptions strict = few();
  strict.strict = true;
  expect_error({a, {"b.jsonl", {row("b", "p1", 1), row("b", "p2", 1)}}}, strict, ErrorKind::kInput,
               "--strict");

  expect_error({a, {"b.jsonl", {row("b", "p1", 1), row("b", "p1", 2)}}}, few(), ErrorKind::kInput,
               "two rows for prompt 'p1'");
  expect_error({a, {"b.jsonl", {row("b", "p1", std::numeric_limits<float>::infinity())}}}, few(),
               ErrorKind::kInput, "expected a finite number");
  Score failed = row("b", "p1", 0);
  failed.error = "no";
  expect_error({a, {"b.jsonl", {failed}}}, few(), ErrorKind::kInput, "has no score");

  PairedScoresOptions unknown = few();
  unknown.first_policy = "A1";
  expect_error({a, b}, unknown, ErrorKind::kUsage,
               "no scores of policy 'A1'; nearest names in the scores: a, b");
}

TEST(PairedScores, NamesThatDifferInCaseAloneAreRefused) {
  const std::vector<ScoreFile> files = {{"a.parquet", {row("GPT-4", "p1", 1)}},
                                        {"b.parquet", {row("gpt-4", "p1", 1)}}};
  expect_error(files, few(), ErrorKind::kInput, "'GPT-4' and 'gpt-4' differ only in case");
  PairedScoresOptions one = few();
  one.policies = {"GPT-4"};
  EXPECT_EQ(PairedScores(files, one).num_policies(), 1u);
}

}  // namespace
}  // namespace charm::stats
