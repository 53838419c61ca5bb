#include "charm/stats/elo.h"

#include <gtest/gtest.h>

#include "charm/base/error.h"

namespace charm::stats {
namespace {

TEST(Elo, KnownWinRates) {
  EXPECT_DOUBLE_EQ(target_win_rate(1200, 1200), 0.5);
  EXPECT_NEAR(target_win_rate(1600, 1200), 10.0 / 11.0, 1e-15);
  EXPECT_NEAR(target_win_rate(1200, 1600), 1.0 / 11.0, 1e-15);
  // The paper's most over-valued pair: 1216 against 1248.
  EXPECT_NEAR(target_win_rate(1216, 1248), 0.454079, 1e-6);
}

TEST(Elo, SidesAddUpToOne) {
  EXPECT_NEAR(target_win_rate(1273, 1176) + target_win_rate(1176, 1273), 1.0, 1e-15);
}

TEST(Elo, MismatchDegreeIsScaledByTheLargestPossibleGap) {
  EXPECT_DOUBLE_EQ(mismatch_degree(0.5, 0.5), 0.0);
  EXPECT_DOUBLE_EQ(mismatch_degree(1.0, 0.5), 1.0);
  EXPECT_DOUBLE_EQ(mismatch_degree(1.0, 0.25), 1.0);
  EXPECT_DOUBLE_EQ(mismatch_degree(0.0, 0.75), -1.0);
  EXPECT_DOUBLE_EQ(mismatch_degree(0.5, 0.75), -0.25 / 0.75);
}

TEST(Elo, TieRuleWords) {
  EXPECT_EQ(parse_tie_rule("loss"), TieRule::kLoss);
  EXPECT_EQ(parse_tie_rule("half"), TieRule::kHalf);
  EXPECT_EQ(tie_rule_name(TieRule::kHalf), "half");
  try {
    parse_tie_rule("win");
    FAIL() << "an unknown word was accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
  }
}

}  // namespace
}  // namespace charm::stats
