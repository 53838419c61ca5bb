#include "charm/stats/comparisons.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "charm/records/score.h"

namespace charm::stats {
namespace {

using ::testing::ElementsAre;

ScoreFile file_of(const std::string& policy, const std::vector<float>& scores) {
  ScoreFile file{.name = policy};
  for (std::size_t i = 0; i < scores.size(); ++i) {
    file.rows.push_back({.prompt_id = "p" + std::to_string(i),
                         .policy = policy,
                         .sample = static_cast<std::int32_t>(i % 2),
                         .score = scores[i]});
  }
  return file;
}

std::vector<std::string> ids_of(const std::vector<Comparison>& comparisons) {
  std::vector<std::string> ids;
  for (const Comparison& one : comparisons) ids.push_back(one.prompt_id);
  return ids;
}

class Comparisons : public ::testing::Test {
 protected:
  // Margins 1, 2, 3, -1, 0; "loud" has a row of its own at the end.
  const std::vector<ScoreFile> files_ = {file_of("loud", {1, 2, 3, 0, 1, 9}),
                                         file_of("quiet", {0, 0, 0, 1, 1})};
  const PairedScores scores_{files_, {.min_prompts = 1}};
};

TEST_F(Comparisons, HaveTheCommonRowsWithTheirKeys) {
  const std::vector<Comparison> rows = compare(scores_, 0, 1);
  EXPECT_THAT(ids_of(rows), ElementsAre("p0", "p1", "p2", "p3", "p4"));
  EXPECT_EQ(rows[1].sample, 1);
  EXPECT_EQ(rows[2].margin(), 3.0);
  EXPECT_EQ(rows[3].before, Winner::kAgainst);
  EXPECT_EQ(rows[4].before, Winner::kTie);
  EXPECT_FALSE(rows[0].flips());
}

TEST_F(Comparisons, OffsetsOfBothSidesCount) {
  const std::vector<Comparison> rows = compare(scores_, 0, 1, {.policy = -1.0, .against = 0.5});
  EXPECT_TRUE(rows[0].flips());   // 0 against 0.5
  EXPECT_FALSE(rows[1].flips());  // 1 against 0.5
  EXPECT_TRUE(rows[4].flips());   // a tie before
}

TEST_F(Comparisons, OfAnOverValuedPolicyItsLargestWinsComeFirst) {
  std::vector<Comparison> rows = compare(scores_, 0, 1, {.policy = -1.5, .against = 0.0});
  sort_comparisons(rows, ComparisonOrder::kMargin, /*is_over_valued=*/true);
  EXPECT_THAT(ids_of(rows), ElementsAre("p2", "p1", "p0", "p4", "p3"));
  sort_comparisons(rows, ComparisonOrder::kFlips, /*is_over_valued=*/true);
  EXPECT_THAT(ids_of(rows), ElementsAre("p0", "p4", "p2", "p1", "p3"));
  sort_comparisons(rows, ComparisonOrder::kMargin, /*is_over_valued=*/false);
  EXPECT_THAT(ids_of(rows), ElementsAre("p3", "p4", "p0", "p1", "p2"));
}

}  // namespace
}  // namespace charm::stats
