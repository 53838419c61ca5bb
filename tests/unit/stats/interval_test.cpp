#include "charm/stats/interval.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "charm/stats/descriptive.h"

namespace charm::stats {
namespace {

TEST(Interval, QuantilesInterpolate) {
  const std::vector<double> values = {1, 2, 4, 8};
  EXPECT_DOUBLE_EQ(quantile_sorted(values, 0.0), 1.0);
  EXPECT_DOUBLE_EQ(quantile_sorted(values, 1.0), 8.0);
  EXPECT_DOUBLE_EQ(quantile_sorted(values, 0.5), 3.0);
  EXPECT_DOUBLE_EQ(quantile_sorted(values, 0.25), 1.75);  // numpy.quantile([1, 2, 4, 8], 0.25)
}

TEST(Interval, PercentilesOfUnsortedValues) {
  std::vector<double> values(1001);
  std::iota(values.rbegin(), values.rend(), 0.0);
  const Interval interval = percentile_interval(values);
  EXPECT_NEAR(interval.lo, 25.0, 1e-9);
  EXPECT_NEAR(interval.hi, 975.0, 1e-9);
}

TEST(Interval, OfAMeanOfMagnitudesHoldsTheEstimate) {
  // All replicates of a mean of |x| lie above the estimate, as they do near 0.
  std::vector<double> values;
  for (int i = 0; i <= 100; ++i) values.push_back(0.12 + 0.001 * i);
  EXPECT_GT(replicate_interval(values)->lo, 0.1);
  const Interval centred = *centred_interval(values, 0.1);
  EXPECT_NEAR(centred.lo, 0.1 - 0.0475, 1e-12);
  EXPECT_NEAR(centred.hi, 0.1 + 0.0475, 1e-12);
  EXPECT_EQ(centred_interval(values, 0.01, /*at_least=*/0.0)->lo, 0.0);
  EXPECT_FALSE(centred_interval({}, 0.1));
}

TEST(Interval, DeviationOfOneValueIsZero) {
  EXPECT_DOUBLE_EQ(standard_deviation(std::vector<double>{3.0}), 0.0);
  EXPECT_DOUBLE_EQ(standard_deviation(std::vector<double>{1.0, 3.0}), std::sqrt(2.0));
}

}  // namespace
}  // namespace charm::stats
