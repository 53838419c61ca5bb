#include "charm/prefer/prefer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "charm/records/preference_pair.h"
#include "charm/records/response.h"
#include "charm/storage/manifest.h"
#include "charm/storage/record_reader.h"
#include "charm/storage/record_writer.h"
#include "tests/unit/base/temp_folder.h"

namespace charm::prefer {
namespace {

using charm::testing::error_of;
using charm::testing::TempFolder;
using ::testing::HasSubstr;

ScoredResponse scored(const std::string& policy, const std::string& prompt_id, float score) {
  ScoredResponse row;
  row.response.prompt_id = prompt_id;
  row.response.prompt = {{"system", "s"}, {"user", "question " + prompt_id}};
  row.response.response = policy + " answers " + prompt_id;
  row.response.policy = policy;
  row.score = score;
  return row;
}

class Prefer : public ::testing::Test {
 protected:
  Prefer() {
    options_.calibration = folder_.file(
        "calibration.json",
        R"({"reference":"b","policies":[{"policy":"a","offset":-3},{"policy":"b","offset":0}]})");
    options_.output = folder_ / "out/pairs.parquet";
    write("a", {scored("a", "x", 4.0f), scored("a", "y", 2.0f), scored("a", "z", 3.0f)});
    // Another order than a's: rows are joined on prompt_id.
    write("b", {scored("b", "z", 0.0f), scored("b", "x", 2.0f), scored("b", "y", 0.0f)});
  }

  void write(const std::string& name, const std::vector<ScoredResponse>& rows) {
    const fs::path path = folder_ / (name + ".parquet");
    storage::write_scores(path, rows);
    if (std::find(options_.scores.begin(), options_.scores.end(), path) == options_.scores.end()) {
      options_.scores.push_back(path);
    }
  }

  TempFolder folder_;
  PreferOptions options_;
};

TEST_F(Prefer, WritesWholeConversationsWithCalibratedScores) {
  const PreferResult result = prefer(options_);
  EXPECT_EQ(result.num_pairs, 2);
  EXPECT_EQ(result.counts.num_ties, 1);
  const auto pairs = storage::read_preferences(options_.output, {});
  ASSERT_EQ(pairs.size(), 2u);
  EXPECT_EQ(pairs[0].prompt_id, "x");
  EXPECT_EQ(pairs[0].chosen,
            (Conversation{{"system", "s"}, {"user", "question x"}, {"assistant", "b answers x"}}));
  EXPECT_EQ(pairs[0].rejected,
            (Conversation{{"system", "s"}, {"user", "question x"}, {"assistant", "a answers x"}}));
  EXPECT_EQ(pairs[0].score_chosen, 2.0);
  EXPECT_EQ(pairs[0].score_rejected, 1.0);
  EXPECT_EQ(pairs[0].margin, 1.0);
  EXPECT_EQ(pairs[0].policy_chosen, "b");
  EXPECT_EQ(pairs[1].policy_rejected, "a");
  const auto manifest = nlohmann::json::parse(read_file(storage::manifest_path(options_.output)));
  EXPECT_EQ(manifest["counts"]["num_pairs"], 2);
  EXPECT_EQ(manifest["inputs"].size(), 3u);
}

TEST_F(Prefer, NoMarginIsNull) {
  // Trainers that take it into the loss fail on null.
  options_.output = folder_ / "pairs.jsonl";
  const PreferResult result = prefer(options_);
  for (const PreferencePair& pair : storage::read_preferences(options_.output, {}))
    EXPECT_EQ(pair.margin, *pair.score_chosen - *pair.score_rejected);
  EXPECT_GT(result.num_pairs, 0);
}

TEST_F(Prefer, LeavesOutErrorsAndUncalibratedPoliciesAndCountsThem) {
  auto failed = scored("a", "y", 0.0f);
  failed.error = "too long";
  write("a", {scored("a", "x", 4.0f), failed});
  write("stranger", {scored("stranger", "x", 50.0f)});
  const PreferResult result = prefer(options_);
  EXPECT_EQ(result.num_pairs, 1);
  EXPECT_EQ(result.num_errors, 1);
  EXPECT_EQ(result.num_other_policies, 1);
  EXPECT_EQ(result.counts.num_incomplete_prompts, 2);
  options_.strict = true;
  EXPECT_THAT(error_of([&] { prefer(options_); }).message(), HasSubstr("--strict"));
}

TEST_F(Prefer, TheSameInputGivesTheSameBytes) {
  for (const char* name : {"pairs.parquet", "pairs.jsonl"}) {
    options_.output = folder_ / name;
    prefer(options_);
    const std::string first = read_file(options_.output);
    prefer(options_);
    EXPECT_EQ(read_file(options_.output), first);
  }
}

TEST_F(Prefer, RefusesWhatCannotBePaired) {
  options_.pairing.min_margin = 100.0;
  EXPECT_THAT(error_of([&] { prefer(options_); }).message(), HasSubstr("no pairs: 3 prompts"));
  options_.pairing.min_margin = 0.0;
  const auto all = options_.scores;
  options_.scores = {all[0]};
  EXPECT_THAT(error_of([&] { prefer(options_); }).message(), HasSubstr("1 calibrated policies"));
  options_.scores = {all[0], all[0]};
  EXPECT_THAT(error_of([&] { prefer(options_); }).message(),
              HasSubstr("both hold rows of policy 'a'"));
  EXPECT_FALSE(fs::exists(options_.output));
}

TEST_F(Prefer, OneIdForTwoPromptsIsAnError) {
  auto other = scored("b", "x", 2.0f);
  other.response.prompt[1].content = "another question";
  write("b", {other});
  EXPECT_THAT(error_of([&] { prefer(options_); }).message(),
              HasSubstr("prompt_ids stand for different prompts, the first is 'x'"));
}

TEST_F(Prefer, PairsOfEqualTextsAreDroppedAndCounted) {
  auto same = scored("b", "x", 2.0f);
  same.response.response = "a answers x";
  write("b", {same, scored("b", "y", 0.0f)});
  const PreferResult result = prefer(options_);
  EXPECT_EQ(result.num_pairs, 1);
  EXPECT_EQ(result.num_equal_texts, 1);
  EXPECT_EQ(storage::read_preferences(options_.output, {}).size(), 1u);
  const auto manifest = nlohmann::json::parse(read_file(storage::manifest_path(options_.output)));
  EXPECT_EQ(manifest["counts"]["num_equal_texts"], 1);
  write("b", {same});
  EXPECT_THAT(error_of([&] { prefer(options_); }).message(), HasSubstr("equal in all 1"));
}

TEST_F(Prefer, StripThinkingWritesAnswersAndComparesThem) {
  auto thinking = scored("b", "x", 2.0f);
  thinking.response.response = "<think>hm</think>\n\nb answers x";
  auto same = scored("b", "y", 0.0f);
  same.response.response = "<think>hm</think>a answers y";
  write("b", {thinking, same});
  EXPECT_EQ(prefer(options_).num_pairs, 2);
  EXPECT_EQ(storage::read_preferences(options_.output, {})[0].chosen.back().content,
            thinking.response.response);
  options_.strip_thinking = true;
  EXPECT_EQ(prefer(options_).num_pairs, 1);
  EXPECT_EQ(storage::read_preferences(options_.output, {})[0].chosen.back().content, "b answers x");
}

TEST_F(Prefer, ToolsAndMembersReachThePairs) {
  auto rows = std::vector{scored("a", "x", 4.0f), scored("b", "x", 2.0f)};
  for (ScoredResponse& row : rows) {
    row.response.prompt.tools = R"([{"name":"f"}])";
    row.response.members = R"({"tool_calls":[1]})";
  }
  write("a", {rows[0]});
  write("b", {rows[1]});
  prefer(options_);
  const auto pairs = storage::read_preferences(options_.output, {});
  EXPECT_EQ(pairs[0].chosen.tools, R"([{"name":"f"}])");
  EXPECT_EQ(pairs[0].rejected.back(), rows[0].response.message());
  rows[1].response.prompt.tools.clear();
  write("b", {rows[1]});
  EXPECT_THAT(error_of([&] { prefer(options_); }).message(), HasSubstr("different prompts"));
}

TEST_F(Prefer, VsReferenceNeedsTheReference) {
  options_.calibration = folder_.file(
      "three.json",
      R"({"reference":"r","policies":[{"policy":"a","offset":-3},{"policy":"b","offset":0},{"policy":"r","offset":0}]})");
  EXPECT_EQ(prefer(options_).num_pairs, 2);
  options_.pairing.pairs = Pairs::kVsReference;
  EXPECT_THAT(error_of([&] { prefer(options_); }).message(), HasSubstr("no rows of policy 'r'"));
}

}  // namespace
}  // namespace charm::prefer
