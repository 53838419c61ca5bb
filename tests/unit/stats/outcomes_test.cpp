#include "charm/stats/outcomes.h"

#include <gtest/gtest.h>

namespace charm::stats {
namespace {

TEST(Outcomes, TiesLoseOrCountHalf) {
  const Outcomes outcomes(std::vector<double>{2, 1, 1, 0}, std::vector<double>{1, 1, 2, 0});
  const WinCount count = outcomes.count();
  EXPECT_EQ(count.wins, 1.0);
  EXPECT_EQ(count.ties, 2.0);
  EXPECT_DOUBLE_EQ(count.win_rate(TieRule::kLoss), 0.25);
  EXPECT_DOUBLE_EQ(count.win_rate(TieRule::kHalf), 0.5);
}

TEST(Outcomes, MirroredWinRatesAddUpToOneUnderHalf) {
  const Outcomes outcomes(std::vector<double>{2, 1, 1}, std::vector<double>{1, 1, 2});
  const WinCount count = outcomes.count();
  EXPECT_DOUBLE_EQ(count.win_rate(TieRule::kHalf) + count.mirrored().win_rate(TieRule::kHalf), 1.0);
  EXPECT_DOUBLE_EQ(count.win_rate(TieRule::kLoss) + count.mirrored().win_rate(TieRule::kLoss),
                   2.0 / 3.0);
}

TEST(Outcomes, OffsetsAreAddedInDoubleOnEachSide) {
  // 0.1f + 0.2 and 0.3f + 0.0 are compared as rounded sums, as whoever builds preferences from them
  // does.
  const std::vector<double> over = {static_cast<double>(0.1f)};
  const std::vector<double> ref = {static_cast<double>(0.3f)};
  const double offset = ref[0] - over[0];
  EXPECT_EQ(Outcomes(over, ref, offset).count().ties, over[0] + offset == ref[0] ? 1.0 : 0.0);
  EXPECT_EQ(Outcomes(over, ref, offset + 1e-9).count().wins, 1.0);
  EXPECT_EQ(Outcomes(over, ref, offset, 1e-9).count().wins, 0.0);
}

TEST(Outcomes, RowsCountWithTheirPromptsWeight) {
  const Outcomes outcomes(std::vector<double>{1, 0, 1}, std::vector<double>{0, 0, 2});
  const std::vector<std::uint32_t> prompt = {0, 0, 2};
  const std::vector<std::uint32_t> weights = {3, 7, 1};
  const WinCount count = outcomes.count(prompt, weights);
  EXPECT_EQ(count.wins, 3.0);
  EXPECT_EQ(count.ties, 3.0);
  EXPECT_EQ(count.total, 7.0);
}

}  // namespace
}  // namespace charm::stats
