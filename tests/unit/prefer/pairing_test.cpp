#include "charm/prefer/pairing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "charm/base/random.h"
#include "charm/records/score.h"
#include "tests/unit/base/temp_folder.h"

namespace charm::prefer {
namespace {

using charm::testing::error_of;
using charm::testing::TempFolder;
using ::testing::HasSubstr;

const Offsets kOffsets = {{"a", "b", "c"}, {1.0, 0.0, -0.5}, "b"};

// A row as "policy prompt score".
Score row(const std::string& policy, const std::string& prompt_id, float score,
          std::int32_t sample = 0) {
  return {prompt_id, policy, sample, score, std::nullopt};
}

// Pairs as "chosen>rejected" of rows, for short expectations.
std::vector<std::string> names(const Pairing& pairing, const std::vector<Score>& scores) {
  std::vector<std::string> out;
  for (const Pair& pair : pairing.pairs) {
    EXPECT_EQ(scores[pair.chosen].prompt_id, scores[pair.rejected].prompt_id);
    EXPECT_EQ(scores[pair.chosen].sample, scores[pair.rejected].sample);
    out.push_back(scores[pair.chosen].policy + ">" + scores[pair.rejected].policy);
  }
  return out;
}

using Names = std::vector<std::string>;

TEST(PairScores, BestWorstUsesTheOffsets) {
  // Calibrated: a 3, b 2.5, c 4.5.
  const std::vector<Score> scores = {row("a", "x", 2.0f), row("b", "x", 2.5f), row("c", "x", 5.0f)};
  const Pairing pairing = pair_scores(scores, kOffsets, {.pairs = Pairs::kBestWorst});
  EXPECT_EQ(names(pairing, scores), Names{"c>b"});
  EXPECT_EQ(pairing.pairs[0].score_chosen, 4.5);
  EXPECT_EQ(pairing.pairs[0].score_rejected, 2.5);
  EXPECT_EQ(pairing.counts.num_prompts, 1);
  EXPECT_EQ(pairing.counts.num_incomplete_prompts, 0);
}

TEST(PairScores, AgainstTheReferenceAndAll) {
  const std::vector<Score> scores = {row("a", "x", 2.0f), row("b", "x", 2.5f), row("c", "x", 5.0f)};
  EXPECT_EQ(names(pair_scores(scores, kOffsets, {.pairs = Pairs::kVsReference}), scores),
            (Names{"a>b", "c>b"}));
  EXPECT_EQ(names(pair_scores(scores, kOffsets, {.pairs = Pairs::kAll}), scores),
            (Names{"a>b", "c>a", "c>b"}));
  EXPECT_EQ(names(pair_scores(scores, kOffsets, {}), scores), (Names{"a>b", "c>a", "c>b"}))
      << "the default";
}

TEST(PairScores, TiesAreDroppedCountedOrKept) {
  // Calibrated: all 2.
  const std::vector<Score> scores = {row("a", "x", 1.0f), row("b", "x", 2.0f), row("c", "x", 2.5f)};
  for (const Pairs pairs : {Pairs::kBestWorst, Pairs::kVsReference, Pairs::kAll}) {
    const Pairing dropped = pair_scores(scores, kOffsets, {.pairs = pairs});
    EXPECT_TRUE(dropped.pairs.empty());
    EXPECT_EQ(dropped.counts.num_ties, pairs == Pairs::kAll           ? 3
                                       : pairs == Pairs::kVsReference ? 2
                                                                      : 1);
  }
  EXPECT_EQ(names(pair_scores(scores, kOffsets, {.pairs = Pairs::kBestWorst, .ties = Ties::kKeep}),
                  scores),
            Names{"a>c"});
  EXPECT_EQ(
      names(pair_scores(scores, kOffsets, {.pairs = Pairs::kVsReference, .ties = Ties::kKeep}),
            scores),
      (Names{"a>b", "b>c"}));
}

TEST(PairScores, MinMargin) {
  const std::vector<Score> scores = {row("a", "x", 2.0f), row("b", "x", 2.5f), row("c", "x", 5.0f)};
  const Pairing pairing = pair_scores(scores, kOffsets, {.pairs = Pairs::kAll, .min_margin = 1.5});
  EXPECT_EQ(names(pairing, scores), (Names{"c>a", "c>b"}));
  EXPECT_EQ(pairing.counts.num_below_margin, 1);
}

TEST(PairScores, SamplesMeetAndErrorsAndStrangersStayOut) {
  std::vector<Score> scores = {row("a", "x", 9.0f, 0), row("b", "x", 1.0f, 1),
                               row("a", "x", 1.0f, 1), row("b", "x", 9.0f, 0),
                               row("d", "x", 99.0f),   row("c", "x", -99.0f)};
  scores.back().error = "too long";
  const Pairing pairing = pair_scores(scores, kOffsets, {});
  EXPECT_EQ(names(pairing, scores), (Names{"a>b", "a>b"}));
  EXPECT_EQ(pairing.pairs[1].chosen, 2u);
  EXPECT_EQ(pairing.counts.num_prompts, 1);  // of two samples
  EXPECT_EQ(pairing.counts.num_incomplete_prompts, 1);
}

TEST(PairScores, APromptOfOnePolicyMakesNoPair) {
  const std::vector<Score> scores = {row("a", "x", 1.0f), row("b", "y", 1.0f)};
  const Pairing pairing = pair_scores(scores, kOffsets, {});
  EXPECT_TRUE(pairing.pairs.empty());
  EXPECT_EQ(pairing.counts.num_prompts, 0);
  EXPECT_EQ(pairing.counts.num_incomplete_prompts, 2);
}

TEST(PairScores, AddingAConstantToAllScoresMovesNoPair) {
  RandomStream random(1, "test");
  std::vector<Score> scores;
  for (int i = 0; i < 300; ++i) {
    // Eighths stay exact in float32 after the shift.
    scores.push_back(row(kOffsets.policies[i % 3], std::to_string(i / 3),
                         static_cast<float>(random.below(64)) / 8.0f));
  }
  std::vector<Score> shifted = scores;
  for (Score& score : shifted) score.score += 100.0f;
  for (const Pairs pairs : {Pairs::kBestWorst, Pairs::kVsReference, Pairs::kAll}) {
    EXPECT_EQ(names(pair_scores(scores, kOffsets, {.pairs = pairs}), scores),
              names(pair_scores(shifted, kOffsets, {.pairs = pairs}), shifted));
  }
}

TEST(ReadOffsets, TakesPoliciesInOrder) {
  const TempFolder folder;
  const Offsets offsets = read_offsets(folder.file(
      "c.json",
      R"({"reference":"b","policies":[{"policy":"a","offset":-1.5,"rating":1200},{"policy":"b","offset":0}]})"));
  EXPECT_EQ(offsets.policies, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(offsets.offsets, (std::vector<double>{-1.5, 0.0}));
  EXPECT_EQ(offsets.reference, "b");
}

TEST(ReadOffsets, SaysWhatIsMissing) {
  const TempFolder folder;
  const auto message = [&](std::string_view text) {
    const Error error = error_of([&] { read_offsets(folder.file("c.json", text)); });
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    EXPECT_THAT(error.message(), HasSubstr("c.json"));
    return error.message();
  };
  EXPECT_THAT(message("{"), HasSubstr("not JSON"));
  EXPECT_THAT(message("[]"), HasSubstr("as charm calibrate writes it"));
  EXPECT_THAT(message(R"({"a": 1200, "b": 1273.5})"), HasSubstr("these are ratings"));
  EXPECT_THAT(message(R"({"reference":"b"})"), HasSubstr("no member 'policies'"));
  EXPECT_THAT(message(R"({"reference":"b","policies":[{"policy":"b","offset":0}]})"),
              HasSubstr("at least two"));
  EXPECT_THAT(message(R"({"reference":"b","policies":[{"policy":"b","offset":0},{"policy":"a"}]})"),
              HasSubstr("policies[1]: has no member 'offset'"));
  EXPECT_THAT(
      message(
          R"({"reference":"b","policies":[{"policy":"b","offset":0},{"policy":"a","offset":null}]})"),
      HasSubstr("expected a finite number"));
  EXPECT_THAT(
      message(
          R"({"reference":"b","policies":[{"policy":"b","offset":0},{"policy":"b","offset":1}]})"),
      HasSubstr("occurs twice"));
  EXPECT_THAT(
      message(
          R"({"reference":"z","policies":[{"policy":"b","offset":0},{"policy":"a","offset":1}]})"),
      HasSubstr("'z' is not among"));
}

// Four samples of a and two of b; calibrated: a 2 6 1 4, b 5 5.
std::vector<Score> samples(const std::string& prompt_id) {
  return {row("a", prompt_id, 1.0f, 0), row("a", prompt_id, 5.0f, 1), row("a", prompt_id, 0.0f, 2),
          row("a", prompt_id, 3.0f, 3), row("b", prompt_id, 5.0f, 0), row("b", prompt_id, 5.0f, 1)};
}

TEST(BestOfN, TakesTheBestAndWorstOfAllSamples) {
  const std::vector<Score> scores = samples("x");
  const Pairing pairing = pair_scores(scores, kOffsets, {.best_of_n = true});
  ASSERT_EQ(pairing.pairs.size(), 1u);
  EXPECT_EQ(pairing.pairs[0].chosen, 1u);
  EXPECT_EQ(pairing.pairs[0].rejected, 2u);
  EXPECT_EQ(pairing.pairs[0].score_chosen, 6.0);
  EXPECT_EQ(pairing.counts.num_prompts, 1);
  EXPECT_EQ(pairing.counts.num_incomplete_prompts, 1);  // c has no sample
}

TEST(BestOfN, RandomRejectedIsLowerSeededAndIndependentOfOtherPrompts) {
  std::vector<Score> scores;
  for (int i = 0; i < 60; ++i) {
    const std::vector<Score> group = samples("p" + std::to_string(i));
    scores.insert(scores.end(), group.begin(), group.end());
  }
  const PairingOptions options = {.best_of_n = true, .rejected = Rejected::kRandom, .seed = 4};
  const Pairing pairing = pair_scores(scores, kOffsets, options);
  ASSERT_EQ(pairing.pairs.size(), 60u);
  std::set<std::size_t> drawn;
  for (std::size_t i = 0; i < 60; ++i) {
    EXPECT_EQ(pairing.pairs[i].chosen, 6 * i + 1);
    EXPECT_LT(pairing.pairs[i].score_rejected, 6.0);
    drawn.insert(pairing.pairs[i].rejected - 6 * i);
  }
  EXPECT_EQ(drawn, (std::set<std::size_t>{0, 2, 3, 4, 5}));
  const std::vector<Score> alone(scores.begin() + 6 * 17, scores.begin() + 6 * 18);
  EXPECT_EQ(pair_scores(alone, kOffsets, options).pairs[0].rejected + 6 * 17,
            pairing.pairs[17].rejected);
  const Pairing other =
      pair_scores(scores, kOffsets, {.best_of_n = true, .rejected = Rejected::kRandom, .seed = 5});
  EXPECT_FALSE(std::equal(pairing.pairs.begin(), pairing.pairs.end(), other.pairs.begin(),
                          [](const Pair& a, const Pair& b) { return a.rejected == b.rejected; }));
}

TEST(BestOfN, EqualSamplesAreATie) {
  const std::vector<Score> scores = {row("a", "x", 1.0f, 0), row("a", "x", 1.0f, 1)};
  for (const Rejected rejected : {Rejected::kWorst, Rejected::kRandom}) {
    const Pairing dropped =
        pair_scores(scores, kOffsets, {.best_of_n = true, .rejected = rejected});
    EXPECT_TRUE(dropped.pairs.empty());
    EXPECT_EQ(dropped.counts.num_ties, 1);
    const Pairing kept = pair_scores(
        scores, kOffsets, {.best_of_n = true, .rejected = rejected, .ties = Ties::kKeep});
    ASSERT_EQ(kept.pairs.size(), 1u);
    EXPECT_NE(kept.pairs[0].chosen, kept.pairs[0].rejected);
  }
  const std::vector<Score> single = {row("a", "x", 1.0f)};
  EXPECT_EQ(pair_scores(single, kOffsets, {.best_of_n = true}).counts.num_prompts, 0);
}

}  // namespace
}  // namespace charm::prefer
