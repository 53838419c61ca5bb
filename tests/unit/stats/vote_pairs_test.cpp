#include "charm/stats/vote_pairs.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/expect_error.h"

namespace charm::stats {
namespace {

ScoredVote vote(const char* prompt, const char* a, const char* b, double outcome, float score_a,
                float score_b, const char* judge = "") {
  ScoredVote scored;
  scored.vote = {.prompt_id = prompt, .model_a = a, .model_b = b, .outcome = outcome};
  scored.vote.judge = judge;
  scored.score_a = score_a;
  scored.score_b = score_b;
  return scored;
}

TEST(VotePairs, ComparePeopleAndModelOnTheSameTexts) {
  // x against y: people 1, 0.5, 0, 1 (x's side); the model 1, 1, 1, tie.
  const std::vector<ScoredVote> votes = {
      vote("p1", "x", "y", 1.0, 2, 1), vote("p2", "y", "x", 0.5, 0, 1),
      vote("p3", "x", "y", 0.0, 5, 1), vote("p4", "y", "x", 0.0, 3, 3)};
  const VoteTable table(votes, {});
  const auto pairs = vote_pairs(table, {}, {.ties = results::TieRule::kHalf, .bootstrap = 200});
  ASSERT_EQ(pairs.size(), 2u);
  EXPECT_EQ(pairs[0].policy, "x");
  EXPECT_EQ(pairs[0].num_rows, 4);
  EXPECT_DOUBLE_EQ(pairs[0].target.value, 2.5 / 4);
  EXPECT_DOUBLE_EQ(pairs[0].before.win_rate.value, 3.5 / 4);
  EXPECT_DOUBLE_EQ(pairs[0].before.mismatch.value, (3.5 / 4 - 2.5 / 4) / (2.5 / 4));
  EXPECT_EQ(pairs[0].before.ties, 1);
  EXPECT_FALSE(pairs[0].after);
  EXPECT_EQ(pairs[0].num_decided, 3);  // p1 right, p3 wrong, p4 a tie of the scores
  EXPECT_DOUBLE_EQ(pairs[0].agreement->value, 1.5 / 3);
  ASSERT_TRUE(pairs[0].before.mismatch.ci95);
  EXPECT_DOUBLE_EQ(pairs[1].before.mismatch.value, -pairs[0].before.mismatch.value);

  const auto lost = vote_pairs(table, {}, {.ties = results::TieRule::kLoss});
  EXPECT_DOUBLE_EQ(lost[0].before.win_rate.value, 3.0 / 4);
  EXPECT_DOUBLE_EQ(lost[1].before.win_rate.value, 0.0);
  EXPECT_DOUBLE_EQ(lost[1].target.value, 1.5 / 4);

  const auto after = vote_pairs(table, {.offsets = {-2.0, 0.0}}, {.ties = results::TieRule::kHalf});
  EXPECT_DOUBLE_EQ(after[0].after->win_rate.value, 1.0 / 4);  // p3 alone
}

TEST(VotePairs, AfterCorrectionStyleWeightsCountAsInTheFit) {
  // x is 2 ahead in score and, by FastChat, (30 - 9) / (30 + 9 + 1) = 0.525 in length on p1 and
  // p2, (9 - 30) / 40 = -0.525 on p3. With offset -3 and T w = 0.5 * 4 = 2 per unit of length the
  // corrected differences are 2 - 3 + 1.05 = 0.05, 0.05 and 2 - 3 - 1.05 = -2.05.
  std::vector<ScoredVote> votes = {vote("p1", "x", "y", 1.0, 2, 0), vote("p2", "y", "x", 0.0, 0, 2),
                                   vote("p3", "x", "y", 0.0, 2, 0)};
  const StyleCounts is_long{.length = 30}, is_short{.length = 9};
  votes[0].style_a = votes[1].style_b = votes[2].style_b = is_long;
  votes[0].style_b = votes[1].style_a = votes[2].style_a = is_short;
  const VoteTable table(votes, {.style = StyleControl::kFastChat, .policies = {}});
  VoteCorrection correction{
      .offsets = {-3.0, 0.0}, .style_weights = {4.0, 0.0, 0.0, 0.0}, .temperature = 0.5};
  const auto pairs = vote_pairs(table, correction, {});
  ASSERT_EQ(pairs[0].policy, "x");
  EXPECT_DOUBLE_EQ(pairs[0].before.win_rate.value, 1.0);
  EXPECT_DOUBLE_EQ(pairs[0].target.value, 2.0 / 3);
  EXPECT_DOUBLE_EQ(pairs[0].after->win_rate.value, 2.0 / 3);
  EXPECT_DOUBLE_EQ(pairs[0].after->mismatch.value, 0.0);
  EXPECT_DOUBLE_EQ(pairs[1].after->win_rate.value, 1.0 / 3);
  // The offsets alone would make x lose all.
  correction.style_weights = {};
  EXPECT_DOUBLE_EQ(vote_pairs(table, correction, {})[0].after->win_rate.value, 0.0);
}

TEST(VotePairs, ClusteredIntervalsAgreeWithTheBootstrap) {
  std::vector<ScoredVote> votes;
  for (int i = 0; i < 600; ++i) {
    const bool people = i * 7 % 10 < 6, model = i * 3 % 10 < 7;
    votes.push_back(vote(("p" + std::to_string(i % 200)).c_str(), "x", "y", people ? 1.0 : 0.0,
                         model ? 2.0f : 0.0f, 1.0f));
  }
  const VoteTable table(votes, {});
  const auto bootstrap = vote_pairs(table, {}, {.bootstrap = 2000});
  const auto clustered = vote_pairs(table, {}, {.intervals = PairIntervals::kClustered});
  for (std::size_t p = 0; p < 2; ++p) {
    const auto near = [](const results::Estimate& one, const results::Estimate& other,
                         double tolerance = 0.015) {
      EXPECT_NEAR(one.ci95->lo, other.ci95->lo, tolerance);
      EXPECT_NEAR(one.ci95->hi, other.ci95->hi, tolerance);
    };
    near(bootstrap[p].target, clustered[p].target);
    near(bootstrap[p].before.win_rate, clustered[p].before.win_rate);
    // The bootstrap's is skewed: the mismatch degree is divided by the larger of e and 1 - e.
    near(bootstrap[p].before.mismatch, clustered[p].before.mismatch, 0.04);
    near(*bootstrap[p].agreement, *clustered[p].agreement);
  }
}

TEST(VotePairs, AgreementOfModelAndOfPeople) {
  const std::vector<ScoredVote> votes = {
      vote("p1", "x", "y", 1.0, 2, 1, "ann"), vote("p1", "y", "x", 0.0, 1, 2, "bob"),
      vote("p1", "x", "y", 0.0, 2, 1, "cat"), vote("p2", "x", "y", 0.5, 0, 1, "ann"),
      vote("p2", "x", "y", 0.5, 0, 1, "bob")};
  const results::VoteAgreement agreement = vote_agreement(VoteTable(votes, {}), {});
  EXPECT_EQ(agreement.num_decided, 3);
  EXPECT_DOUBLE_EQ(agreement.accuracy.value, 2.0 / 3);
  EXPECT_EQ(agreement.num_people, 4);  // three pairs on p1, one on p2
  EXPECT_DOUBLE_EQ(agreement.people.value, 2.0 / 4);
  EXPECT_EQ(agreement.num_people_decided, 3);
  EXPECT_DOUBLE_EQ(agreement.people_decided.value, 1.0 / 3);
}

TEST(VoteRatings, AreEloPointsWithMean1000) {
  std::vector<ScoredVote> votes;
  for (int i = 0; i < 100; ++i)
    votes.push_back(vote(("p" + std::to_string(i)).c_str(), "x", "y", i < 75 ? 1.0 : 0.0, 1, 0));
  const auto ratings = vote_ratings(VoteTable(votes, {}));
  const double difference = 400.0 * std::log10(3.0);
  EXPECT_NEAR(ratings[0].rating_elo, 1000.0 + difference / 2, 1e-9);
  EXPECT_NEAR(ratings[1].rating_elo, 1000.0 - difference / 2, 1e-9);
  EXPECT_LT(*ratings[0].rating_lo, ratings[0].rating_elo);
  votes.resize(50);
  EXPECT_TRUE(std::isnan(vote_ratings(VoteTable(votes, {}))[0].rating_elo));
}

TEST(VoteTable, RefusesWhatItCannotUse) {
  std::vector<ScoredVote> votes = {vote("p1", "x", "y", 1.0, 2, 1)};
  EXPECT_ERROR(kUsage, "no votes on policy 'z'", VoteTable(votes, {.policies = {"x", "z"}}));
  votes[0].error = "too long";
  EXPECT_ERROR(kInput, "1 carry an error", VoteTable(votes, {}));
  votes.push_back(vote("p2", "X", "y", 1.0, 2, 1));
  EXPECT_ERROR(kInput, "case", VoteTable(votes, {}));
}

TEST(VoteTable, HoldsOutByPrompt) {
  const Vote one{.prompt_id = "a"};
  EXPECT_TRUE(is_held_out(one, 0, 1.0));
  EXPECT_FALSE(is_held_out(one, 0, 0.0));
  int count = 0;
  for (int i = 0; i < 1000; ++i)
    count += is_held_out({.prompt_id = std::to_string(i)}, 3, 0.25) ? 1 : 0;
  EXPECT_NEAR(count, 250, 50);
}

}  // namespace
}  // namespace charm::stats
