#include "charm/engine/tensor.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/support/expect_error.h"
#include "tests/support/tensors.h"

namespace charm::engine {
namespace {

float value_of(std::uint16_t half) {
  Tensor tensor = Tensor::empty({1}, DType::kFloat16);
  tensor.mutable_data<Float16>()[0].bits = half;
  return tensor.to(DType::kFloat32).data<float>()[0];
}

std::uint16_t half_of(float value) {
  return Tensor::of(std::vector<float>{value}).to(DType::kFloat16).data<Float16>()[0].bits;
}

std::uint16_t bfloat_of(float value) {
  return Tensor::of(std::vector<float>{value}).to(DType::kBFloat16).data<BFloat16>()[0].bits;
}

/// IEEE 754 binary16: 1 sign, 5 exponent, 10 fraction bits.
double formula(std::uint16_t half) {
  const int exponent = half >> 10 & 31, fraction = half & 1023;
  const double magnitude =
      exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
  return half & 0x8000 ? -magnitude : magnitude;
}

TEST(Tensor, Float16IsRoundedToNearestEven) {
  constexpr std::uint16_t kLargest = 0x7bff;  // 65504
  for (std::uint16_t half = 0; half <= kLargest; ++half) {
    ASSERT_EQ(value_of(half), formula(half)) << half;
    ASSERT_EQ(half_of(value_of(half)), half);
    ASSERT_EQ(half_of(-value_of(half)), half | 0x8000);
    if (half == kLargest) break;
    const auto next = static_cast<std::uint16_t>(half + 1);
    const auto middle = static_cast<float>((formula(half) + formula(next)) / 2);  // exact
    ASSERT_EQ(half_of(middle), half % 2 == 0 ? half : next) << half;
    ASSERT_EQ(half_of(std::nextafter(middle, 0.0F)), half);
    ASSERT_EQ(half_of(std::nextafter(middle, 1e9F)), next);
  }
  EXPECT_EQ(half_of(65519.0F), kLargest);
  EXPECT_EQ(half_of(65520.0F), 0x7c00);
  EXPECT_EQ(half_of(std::numeric_limits<float>::infinity()), 0x7c00);
  EXPECT_TRUE(std::isnan(value_of(half_of(std::nanf("")))));
  EXPECT_TRUE(std::isinf(value_of(0xfc00)));
  EXPECT_EQ(half_of(1e-30F), 0);
}

TEST(Tensor, BFloat16IsRoundedToNearestEven) {
  EXPECT_EQ(bfloat_of(1.0F), 0x3f80);
  EXPECT_EQ(bfloat_of(1.00390625F), 0x3f80);  // half way, even below
  EXPECT_EQ(bfloat_of(1.01171875F), 0x3f82);  // half way, even above
  EXPECT_EQ(bfloat_of(std::nextafter(1.00390625F, 2.0F)), 0x3f81);
  EXPECT_EQ(bfloat_of(-0.0F), 0x8000);
  EXPECT_EQ(bfloat_of(std::numeric_limits<float>::max()), 0x7f80);
  EXPECT_EQ(bfloat_of(std::nanf("")) & 0x7fc0, 0x7fc0);
}

TEST(Tensor, RowsAndViewsShareTheElements) {
  Tensor whole = test::counting({4, 3});
  Tensor rows = whole.narrow(1, 2);
  EXPECT_EQ(rows.shape(), Tensor::Shape({2, 3}));
  rows.mutable_data<float>()[0] = -1.0F;
  EXPECT_EQ(whole.data<float>()[3], -1.0F);
  EXPECT_EQ(whole.view({12}).data<float>()[3], -1.0F);
  EXPECT_EQ(whole.to(DType::kFloat32).data<float>(), whole.data<float>());
  EXPECT_NE(whole.clone().data<float>(), whole.data<float>());
  EXPECT_TRUE(test::equal(whole.clone(), whole));
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(whole.bytes()) % 64, 0U);
}

TEST(Tensor, TheTransposeOfAMatrix) {
  const Tensor transpose = test::counting({2, 3}).transposed();
  EXPECT_TRUE(test::equal(transpose, Tensor::of(std::vector<float>{0, 3, 1, 4, 2, 5}, {3, 2})));
}

TEST(Tensor, MisuseIsCaught) {
  const Tensor tensor = test::counting({2, 3});
  EXPECT_ERROR(kInternal, "float32 is used as one of bfloat16", (void)tensor.data<BFloat16>());
  EXPECT_ERROR(kInternal, "rows 1 .. 3 of 2", (void)tensor.narrow(1, 2));
  EXPECT_ERROR(kInternal, "6 elements seen as one of 5", (void)tensor.view({5}));
  EXPECT_ERROR(kInternal, "undefined", (void)Tensor().data<float>());
  EXPECT_ERROR(kInternal, "int64",
               (void)Tensor::of(std::vector<std::int64_t>{1}).to(DType::kFloat32));
}

}  // namespace
}  // namespace charm::engine
