#include <gtest/gtest.h>

#include <cmath>

#include "charm/base/random.h"
#include "charm/explain/regression.h"

namespace charm::explain {
namespace {

TEST(Balance, MeansAreZeroAndWeightsAreExponential) {
  RandomStream stream(3, "balance");
  std::vector<std::vector<double>> columns(3);
  for (int i = 0; i < 400; ++i) {
    const double shared = stream.normal();
    columns[0].push_back(0.4 + shared);
    columns[1].push_back(1000.0 * (shared + stream.normal()) + 300.0);
    columns[2].push_back(stream.uniform() < 0.2 ? 1.0 : (stream.uniform() < 0.1 ? -1.0 : 0.0));
  }
  const std::vector<double> base(400, 1.0);
  const auto found = balance(columns, base);
  ASSERT_TRUE(found);
  double sum = 0.0;
  for (const double weight : found->weights) sum += weight;
  EXPECT_NEAR(sum, 1.0, 1e-12);
  for (const auto& column : columns) {
    double mean = 0.0, size = 0.0;
    for (std::size_t i = 0; i < column.size(); ++i) {
      mean += found->weights[i] * column[i];
      size = std::max(size, std::abs(column[i]));
    }
    EXPECT_NEAR(mean, 0.0, 1e-8 * size);
  }
  // The weights nearest to equal ones are exponential in the columns.
  const auto exponent = [&](std::size_t i) {
    double value = 0.0;
    for (std::size_t k = 0; k < 3; ++k) value += found->multipliers[k] * columns[k][i];
    return value;
  };
  for (const std::size_t i : {1, 50, 399}) {
    EXPECT_NEAR(std::log(found->weights[i] / found->weights[0]), exponent(i) - exponent(0), 1e-9);
  }
  EXPECT_GT(found->effective_rows, 50.0);
  EXPECT_LT(found->effective_rows, 400.0);
}

TEST(Balance, BalancedRowsKeepTheirWeights) {
  const std::vector<std::vector<double>> columns = {{-1.0, 1.0, -2.0, 2.0}};
  const auto found = balance(columns, std::vector<double>(4, 1.0));
  ASSERT_TRUE(found);
  for (const double weight : found->weights) EXPECT_NEAR(weight, 0.25, 1e-9);
  EXPECT_NEAR(found->effective_rows, 4.0, 1e-6);
}

TEST(Balance, OneSignHasNoAnswer) {
  const std::vector<std::vector<double>> longer = {{0.1, 0.5, 2.0, 0.3}};
  EXPECT_FALSE(balance(longer, std::vector<double>(4, 1.0)));
  // No single column has one sign, but their difference has.
  const std::vector<std::vector<double>> pair = {{1.0, -1.0, 2.0, -2.0}, {2.0, -0.5, 3.0, -1.0}};
  EXPECT_FALSE(balance(pair, std::vector<double>(4, 1.0)));
}

TEST(Balance, RowsWithoutWeightDoNotCount) {
  const std::vector<std::vector<double>> columns = {{1.0, 2.0, -1.0}};
  EXPECT_FALSE(balance(columns, std::vector<double>{1.0, 1.0, 0.0}));
  const auto found = balance(columns, std::vector<double>{1.0, 0.0, 1.0});
  ASSERT_TRUE(found);
  EXPECT_EQ(found->weights[1], 0.0);
}

}  // namespace
}  // namespace charm::explain
