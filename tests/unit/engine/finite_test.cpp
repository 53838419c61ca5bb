#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "charm/engine/safetensors.h"
#include "tests/support/tensors.h"

namespace charm::engine {
namespace {

class FindNonFinite : public testing::TestWithParam<DType> {};

TEST_P(FindNonFinite, AcceptsLargestAndSmallestValues) {
  Tensor values = test::ones({7, 3});
  const float largest = GetParam() == DType::kFloat16 ? 65504.0F : 3.3e38F;
  const std::vector<std::pair<int, float>> edges = {
      {0, largest}, {1, -largest}, {20, -0.0F}, {10, 1e-30F}};
  for (const auto& [place, value] : edges) values.mutable_data<float>()[place] = value;
  EXPECT_FALSE(find_non_finite(values.to(GetParam())));
}

TEST_P(FindNonFinite, NamesTheFirstBadElementWhereverItIs) {
  const std::int64_t count = 5'000'003;  // several chunks and a tail that fills no word
  Tensor values = test::ones({count}, GetParam());
  const auto set = [&](std::int64_t place, double value) {
    values.narrow(place, 1).copy_from(Tensor::of(std::vector<float>{static_cast<float>(value)}));
  };
  for (const std::int64_t place :
       {std::int64_t{0}, std::int64_t{1}, std::int64_t{4'300'001}, count - 1}) {
    for (const double bad : {std::nan(""), std::numeric_limits<double>::infinity(),
                             -std::numeric_limits<double>::infinity()}) {
      set(place, bad);
      EXPECT_EQ(find_non_finite(values), place);
      set(place, 1.0);
    }
  }
  set(17, std::nan(""));
  set(4'000'000, std::nan(""));
  EXPECT_EQ(find_non_finite(values), 17);
}

TEST(FindNonFinite, EmptyTensorIsFinite) { EXPECT_FALSE(find_non_finite(test::ones({0, 3}))); }

INSTANTIATE_TEST_SUITE_P(Dtypes, FindNonFinite,
                         testing::Values(DType::kFloat32, DType::kFloat16, DType::kBFloat16));

}  // namespace
}  // namespace charm::engine
