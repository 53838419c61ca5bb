#include <ATen/ops/ones.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "charm/engine/safetensors.h"

namespace charm::engine {
namespace {

class FindNonFinite : public testing::TestWithParam<at::ScalarType> {};

TEST_P(FindNonFinite, AcceptsLargestAndSmallestValues) {
  at::Tensor values = at::ones({7, 3}, at::TensorOptions().dtype(GetParam()));
  EXPECT_FALSE(find_non_finite(values));
  values[0][0] = GetParam() == at::kHalf ? 65504.0 : 3.3e38;
  values[0][1] = GetParam() == at::kHalf ? -65504.0 : -3.3e38;
  values[6][2] = -0.0;
  values[3][1] = 1e-30;
  EXPECT_FALSE(find_non_finite(values));
}

TEST_P(FindNonFinite, NamesTheFirstBadElementWhereverItIs) {
  const std::int64_t count = 5'000'003;  // several chunks and a tail that fills no word
  at::Tensor values = at::ones({count}, at::TensorOptions().dtype(GetParam()));
  for (const std::int64_t place :
       {std::int64_t{0}, std::int64_t{1}, std::int64_t{4'300'001}, count - 1}) {
    for (const double bad : {std::nan(""), std::numeric_limits<double>::infinity(),
                             -std::numeric_limits<double>::infinity()}) {
      values[place] = bad;
      EXPECT_EQ(find_non_finite(values), place);
      values[place] = 1.0;
    }
  }
  values[17] = std::nan("");
  values[4'000'000] = std::nan("");
  EXPECT_EQ(find_non_finite(values), 17);
}

TEST(FindNonFinite, EmptyTensorIsFinite) { EXPECT_FALSE(find_non_finite(at::ones({0, 3}))); }

INSTANTIATE_TEST_SUITE_P(Dtypes, FindNonFinite,
                         testing::Values(at::kFloat, at::kHalf, at::kBFloat16));

}  // namespace
}  // namespace charm::engine
