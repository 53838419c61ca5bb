#include "charm/base/random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

namespace charm {
namespace {

std::vector<std::uint64_t> sample(RandomStream stream, int count) {
  std::vector<std::uint64_t> values;
  for (int i = 0; i < count; ++i) values.push_back(stream());
  return values;
}

TEST(RandomStream, IsTheSameForTheSameNames) {
  EXPECT_EQ(sample(RandomStream(7, "train", 2), 100), sample(RandomStream(7, "train", 2), 100));
}

TEST(RandomStream, DiffersByEveryPartOfItsName) {
  const std::set<std::vector<std::uint64_t>> streams = {
      sample(RandomStream(7, "train", 2), 4), sample(RandomStream(8, "train", 2), 4),
      sample(RandomStream(7, "eval", 2), 4), sample(RandomStream(7, "train", 3), 4)};
  EXPECT_EQ(streams.size(), 4u);
}

TEST(RandomStream, UniformFillsItsInterval) {
  RandomStream stream(1, "test");
  double sum = 0.0;
  for (int i = 0; i < 100000; ++i) {
    const double value = stream.uniform();
    ASSERT_GE(value, 0.0);
    ASSERT_LT(value, 1.0);
    sum += value;
  }
  EXPECT_NEAR(sum / 100000, 0.5, 0.005);  // five standard errors
}

TEST(RandomStream, BelowIsUniform) {
  RandomStream stream(1, "test");
  std::vector<int> counts(6, 0);
  for (int i = 0; i < 60000; ++i) ++counts[stream.below(6)];
  for (const int count : counts) EXPECT_NEAR(count, 10000, 500);  // five standard errors
  EXPECT_EQ(stream.below(1), 0u);
}

TEST(RandomStream, NormalHasMeanZeroAndUnitVariance) {
  RandomStream stream(1, "test");
  double sum = 0.0;
  double squares = 0.0;
  for (int i = 0; i < 100000; ++i) {
    const double value = stream.normal();
    sum += value;
    squares += value * value;
  }
  EXPECT_NEAR(sum / 100000, 0.0, 0.016);
  EXPECT_NEAR(squares / 100000, 1.0, 0.023);
}

TEST(RandomStream, ShuffleKeepsTheItems) {
  std::vector<int> items(50);
  std::iota(items.begin(), items.end(), 0);
  std::vector<int> shuffled = items;
  RandomStream(3, "test").shuffle(shuffled);
  EXPECT_NE(shuffled, items);
  std::sort(shuffled.begin(), shuffled.end());
  EXPECT_EQ(shuffled, items);
}

}  // namespace
}  // namespace charm
