#include "charm/calibrate/step_function.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "charm/base/random.h"
#include "charm/stats/outcomes.h"

namespace charm::calibrate {
namespace {

using stats::TieRule;

StepFunction curve_of(const std::vector<double>& differences, TieRule ties) {
  const std::vector<double> zeros(differences.size(), 0.0);
  return SortedDifferences(differences, zeros, ties).curve();
}

TEST(StepFunction, CountsRowsAboveMinusTheOffset) {
  const std::vector<double> differences = {-1.0, 0.0, 0.0, 2.0};
  const StepFunction loss = curve_of(differences, TieRule::kLoss);
  const StepFunction half = curve_of(differences, TieRule::kHalf);
  EXPECT_DOUBLE_EQ(loss.win_rate(0.0), 0.25);
  EXPECT_DOUBLE_EQ(half.win_rate(0.0), 0.5);
  EXPECT_DOUBLE_EQ(loss.win_rate(0.5), 0.75);
  EXPECT_DOUBLE_EQ(loss.win_rate(1.0), 0.75);  // plateaus are (lo, hi]
  EXPECT_DOUBLE_EQ(loss.win_rate(1.0 + 1e-12), 1.0);
  EXPECT_DOUBLE_EQ(loss.win_rate(-2.0), 0.0);
  EXPECT_DOUBLE_EQ(loss.both_win_rates(0.0).ref, 0.25);
  EXPECT_DOUBLE_EQ(loss.both_win_rates(0.0).over, 0.25);
  EXPECT_DOUBLE_EQ(half.both_win_rates(0.0).ref, 0.5);
}

TEST(StepFunction, MiddleOfThePlateau) {
  const PlateauResult result = curve_of({1.0, 2.0, 4.0, 8.0}, TieRule::kLoss).best_plateau(0.5);
  ASSERT_EQ(result.kind, PlateauResult::Kind::kFound);
  EXPECT_DOUBLE_EQ(result.plateau->offsets.lo, -4.0);
  EXPECT_DOUBLE_EQ(result.plateau->offsets.hi, -2.0);
  EXPECT_DOUBLE_EQ(result.plateau->offset, -3.0);
  EXPECT_DOUBLE_EQ(result.plateau->win_rate, 0.5);
}

TEST(StepFunction, TwoEquallyGoodPlateausAreOne) {
  // 2/5 and 3/5 are equally near to 1/2.
  const PlateauResult result =
      curve_of({1.0, 2.0, 3.0, 4.0, 9.0}, TieRule::kLoss).best_plateau(0.5);
  EXPECT_DOUBLE_EQ(result.plateau->offsets.lo, -4.0);
  EXPECT_DOUBLE_EQ(result.plateau->offsets.hi, -2.0);
  EXPECT_DOUBLE_EQ(result.plateau->offset, -3.0);
}

TEST(StepFunction, NoAnswer) {
  EXPECT_EQ(curve_of({1.5, 1.5, 1.5}, TieRule::kLoss).best_plateau(0.5).kind,
            PlateauResult::Kind::kAllEqual);
  const PlateauResult none = curve_of({1.0, 2.0, 3.0}, TieRule::kLoss).best_plateau(0.1);
  EXPECT_EQ(none.kind, PlateauResult::Kind::kUnbounded);
  EXPECT_EQ(none.nearest_win_rate, 0.0);
  ASSERT_TRUE(none.plateau);  // the best bounded one, for resamples
  EXPECT_DOUBLE_EQ(none.plateau->win_rate, 1.0 / 3.0);
  const PlateauResult all = curve_of({1.0, 2.0, 3.0}, TieRule::kHalf).best_plateau(0.9);
  EXPECT_EQ(all.kind, PlateauResult::Kind::kUnbounded);
  EXPECT_EQ(all.nearest_win_rate, 1.0);
}

TEST(StepFunction, TiesAreChosenOnlyWhereTheyGainMoreThanARow) {
  // Two big groups: 0.9 or 0.1 between them, exactly half of it at a tie.
  std::vector<double> differences(20, 0.0);
  differences[0] = -1.0;
  differences[19] = 1.0;
  const PlateauResult coarse = curve_of(differences, TieRule::kHalf).best_plateau(0.5);
  EXPECT_EQ(coarse.plateau->offset, 0.0);
  EXPECT_DOUBLE_EQ(coarse.plateau->win_rate, 0.5);
  EXPECT_EQ(coarse.plateau->offsets.lo, coarse.plateau->offsets.hi);
  // Distinct differences: the tie at -2 would hit 3/8 exactly, the plateaus around it miss by half
  // a row.
  const PlateauResult fine = curve_of({1.0, 2.0, 3.0, 4.0}, TieRule::kHalf).best_plateau(0.375);
  EXPECT_LT(fine.plateau->offsets.lo, fine.plateau->offsets.hi);
}

TEST(StepFunction, BestOfAllPlateausByBruteForce) {
  RandomStream stream(5, "brute force");
  for (int round = 0; round < 300; ++round) {
    const std::size_t count = 2 + stream.below(12);
    const bool is_coarse = round % 2 == 0;
    std::vector<double> over;
    std::vector<double> ref;
    for (std::size_t i = 0; i < count; ++i) {
      over.push_back(is_coarse ? static_cast<double>(stream.below(5))
                               : static_cast<float>(stream.normal()));
      ref.push_back(is_coarse ? static_cast<double>(stream.below(5))
                              : static_cast<float>(stream.normal()));
    }
    const double target = 0.02 + 0.96 * stream.uniform();
    const PlateauResult result =
        SortedDifferences(over, ref, TieRule::kLoss).curve().best_plateau(target);

    std::vector<double> steps;
    for (std::size_t i = 0; i < count; ++i) steps.push_back(ref[i] - over[i]);
    std::sort(steps.begin(), steps.end());
    steps.erase(std::unique(steps.begin(), steps.end()), steps.end());
    if (steps.size() == 1) {
      EXPECT_EQ(result.kind, PlateauResult::Kind::kAllEqual);
      continue;
    }
    double best = 2.0;
    for (std::size_t s = 0; s + 1 < steps.size(); ++s) {
      const double offset = 0.5 * (steps[s] + steps[s + 1]);
      const double rate = stats::Outcomes(over, ref, offset).count().win_rate(TieRule::kLoss);
      best = std::min(best, std::abs(rate - target));
    }
    const double end = std::min(target, 1.0 - target);
    ASSERT_TRUE(result.plateau);
    EXPECT_NEAR(std::abs(result.plateau->win_rate - target), best, 1e-12);
    EXPECT_EQ(result.kind == PlateauResult::Kind::kUnbounded, end < best - 1e-12);
    const double achieved =
        stats::Outcomes(over, ref, result.plateau->offset).count().win_rate(TieRule::kLoss);
    EXPECT_DOUBLE_EQ(achieved, result.plateau->win_rate);
  }
}

TEST(StepFunction, InterpolatesThroughTheMiddlesOfItsRises) {
  // Steps at -3 (one row), -1 (two rows), 0 (one row): win rates 0, 1/4, 3/4, 1.
  const std::vector<double> sorted = {0.0, 1.0, 1.0, 3.0};
  const StepFunction curve(sorted, std::vector<double>(4, 1.0), stats::TieRule::kLoss);
  EXPECT_DOUBLE_EQ(curve.interpolated_offset(0.125), -3.0);
  EXPECT_DOUBLE_EQ(curve.interpolated_offset(0.5), -1.0);
  EXPECT_DOUBLE_EQ(curve.interpolated_offset(0.3125), -2.0);
  EXPECT_DOUBLE_EQ(curve.interpolated_offset(0.875), 0.0);
  EXPECT_DOUBLE_EQ(curve.interpolated_offset(0.01), -3.0);
  EXPECT_DOUBLE_EQ(curve.interpolated_offset(0.99), 0.0);
}

TEST(StepFunction, WeightsEqualRepeatedRows) {
  const std::vector<double> over = {0.5, 2.0, -1.0, 3.0};
  const std::vector<double> ref = {0.0, 0.0, 0.0, 0.0};
  const StepFunction weighted =
      SortedDifferences(over, ref, TieRule::kLoss).curve(std::vector<double>{2.0, 0.0, 1.0, 3.0});
  const StepFunction repeated = curve_of({0.5, 0.5, -1.0, 3.0, 3.0, 3.0}, TieRule::kLoss);
  for (double offset = -4.0; offset < 4.0; offset += 0.25) {
    EXPECT_DOUBLE_EQ(weighted.win_rate(offset), repeated.win_rate(offset)) << offset;
  }
}

}  // namespace
}  // namespace charm::calibrate
