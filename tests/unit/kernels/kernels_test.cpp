#include "charm/kernels/kernels.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <vector>

#include "charm/base/random.h"
#include "tests/unit/kernels/reference.h"

namespace charm::kernels {
namespace {

std::vector<float> normals(std::size_t n, std::uint64_t index) {
  RandomStream stream(7, "kernels_test", index);
  std::vector<float> values(n);
  for (float& v : values) v = static_cast<float>(stream.normal());
  return values;
}

BFloat16 to_bf16(float v) {  // round to nearest even by way of the neighbours
  const auto bits = std::bit_cast<std::uint32_t>(v);
  const std::uint32_t low = bits & 0xffff0000u;
  const std::uint32_t high = low + 0x10000u;
  const std::uint32_t rest = bits & 0xffffu;
  const bool up = rest > 0x8000u || (rest == 0x8000u && ((low >> 16) & 1) != 0);
  return {static_cast<std::uint16_t>((up ? high : low) >> 16)};
}
class WidthTest : public testing::TestWithParam<std::size_t> {};
INSTANTIATE_TEST_SUITE_P(Widths, WidthTest, testing::Values(2, 6, 16, 30, 64, 576));

TEST_P(WidthTest, RmsNormEqualsTheReference) {
  const std::size_t width = GetParam();
  const auto x = normals(width, 1);
  const auto w = normals(width, 2);
  std::vector<float> out(width);
  rms_norm(x.data(), w.data(), 1e-5f, out.data(), 1, static_cast<std::int64_t>(width));
  const auto expected = reference::rms_norm(x, w, 1e-5f);
  for (std::size_t i = 0; i < width; ++i)
    EXPECT_NEAR(out[i], expected[i], 2e-6 * (1 + std::abs(expected[i]))) << i;
}

TEST_P(WidthTest, RmsNormAddsItsOffsetToTheWeight) {
  const std::size_t width = GetParam();
  const auto x = normals(width, 1);
  const auto w = normals(width, 2);
  std::vector<float> around_one(w);
  for (float& v : around_one) v += 1.0f;
  std::vector<float> out(width), expected(width);
  rms_norm(x.data(), w.data(), 1e-5f, out.data(), 1, static_cast<std::int64_t>(width),
           /*weight_offset=*/1.0f);
  rms_norm(x.data(), around_one.data(), 1e-5f, expected.data(), 1,
           static_cast<std::int64_t>(width));
  EXPECT_EQ(out, expected);
}

TEST_P(WidthTest, RopeEqualsTheReference) {
  const std::size_t width = GetParam();
  const std::size_t half = width / 2;
  const std::size_t rows = 3;
  const std::size_t heads = 2;
  const auto x = normals(rows * heads * width, 5);
  std::vector<float> cos(rows * half);
  std::vector<float> sin(rows * half);
  for (std::size_t i = 0; i < cos.size(); ++i) {
    cos[i] = std::cos(static_cast<float>(i));
    sin[i] = std::sin(static_cast<float>(i));
  }
  std::vector<float> out(x);
  rope(out.data(), cos.data(), sin.data(), rows, heads, static_cast<std::int64_t>(width),
       static_cast<std::int64_t>(width));
  for (std::size_t t = 0; t < rows; ++t) {
    for (std::size_t h = 0; h < heads; ++h) {
      const auto begin = x.begin() + static_cast<std::ptrdiff_t>((t * heads + h) * width);
      const auto at = static_cast<std::ptrdiff_t>(t * half);
      const auto expected =
          reference::rope({begin, begin + static_cast<std::ptrdiff_t>(width)},
                          {cos.begin() + at, cos.begin() + at + static_cast<std::ptrdiff_t>(half)},
                          {sin.begin() + at, sin.begin() + at + static_cast<std::ptrdiff_t>(half)});
      for (std::size_t i = 0; i < width; ++i)
        EXPECT_NEAR(out[(t * heads + h) * width + i], expected[i], 1e-6);
    }
  }
}

TEST(Rope, ValuesBeyondTheRotaryOnesStay) {
  const auto x = normals(2 * 3 * 10, 5);
  const std::vector<float> cos = {0.5f, -0.25f, 0.75f, 0.1f}, sin = {0.9f, 0.3f, -0.6f, 0.2f};
  std::vector<float> out(x);
  rope(out.data(), cos.data(), sin.data(), /*rows=*/2, /*heads=*/3, /*head_dim=*/10,
       /*rotary_dim=*/4);
  for (std::size_t i = 0; i < 6; ++i) {
    const auto head = x.begin() + static_cast<std::ptrdiff_t>(i * 10);
    const std::size_t t = i / 3;
    const auto expected = reference::rope({head, head + 4}, {cos[2 * t], cos[2 * t + 1]},
                                          {sin[2 * t], sin[2 * t + 1]});
    for (std::size_t e = 0; e < 10; ++e) {
      if (e < 4)
        EXPECT_NEAR(out[i * 10 + e], expected[e], 1e-6);
      else
        EXPECT_EQ(out[i * 10 + e], x[i * 10 + e]);
    }
  }
}

TEST_P(WidthTest, BFloat16RoundsTheFloat32ResultOnce) {
  const std::size_t width = GetParam();
  const auto count = static_cast<std::int64_t>(width);
  std::vector<BFloat16> x, weight, out(width);
  std::vector<float> wide_x, wide_weight, wide_out(width);
  const auto g = normals(width, 6);
  const auto u = normals(width, 7);
  for (std::size_t i = 0; i < width; ++i) {
    x.push_back(to_bf16(g[i]));
    weight.push_back(to_bf16(u[i]));
    wide_x.push_back(widened(x[i]));
    wide_weight.push_back(widened(weight[i]));
  }
  rms_norm(x.data(), weight.data(), 1e-5f, out.data(), /*rows=*/1, count);
  rms_norm(wide_x.data(), wide_weight.data(), 1e-5f, wide_out.data(), /*rows=*/1, count);
  for (std::size_t i = 0; i < width; ++i) EXPECT_EQ(out[i].bits, to_bf16(wide_out[i]).bits) << i;
}

TEST(BFloat16, RoundsToNearestEvenAndKeepsNaN) {
  std::vector<float> values = normals(5000, 11);
  for (const std::uint32_t bits : {0x3f808000u, 0x3f818000u, 0x3f807fffu, 0x3f808001u, 0x80000000u,
                                   0x00018000u, 0x7f7fffffu, 0x7f800000u, 0xff800000u})
    values.push_back(std::bit_cast<float>(bits));
  for (const float value : values) {
    BFloat16 rounded;
    narrow_to(value, rounded);
    EXPECT_EQ(rounded.bits, to_bf16(value).bits) << value;
  }
  for (const std::uint32_t bits : {0x7fc00000u, 0x7fffffffu, 0x7f800001u, 0xffffffffu}) {
    BFloat16 rounded;
    narrow_to(std::bit_cast<float>(bits), rounded);
    EXPECT_TRUE(std::isnan(widened(rounded))) << bits;
  }
}

TEST(HeadLayer, IsAMatrixProductWithBias) {
  const auto x = normals(2 * 40, 8);
  const auto weight = normals(3 * 40, 9);
  const auto bias = normals(3, 10);
  std::vector<float> with(6), without(6);
  head_layer(x.data(), weight.data(), bias.data(), with.data(), 2, 40, 3);
  head_layer(x.data(), weight.data(), nullptr, without.data(), 2, 40, 3);
  for (std::size_t s = 0; s < 2; ++s) {
    for (std::size_t o = 0; o < 3; ++o) {
      double sum = 0.0;
      for (std::size_t i = 0; i < 40; ++i)
        sum += double{x[s * 40 + i]} * double{weight[o * 40 + i]};
      EXPECT_NEAR(without[s * 3 + o], sum, 1e-6);
      EXPECT_NEAR(with[s * 3 + o], sum + bias[o], 1e-6);
    }
  }
}

}  // namespace
}  // namespace charm::kernels
