#include "charm/kernels/kernels.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <vector>

#include "charm/base/random.h"
#include "charm/kernels/reference.h"

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
float to_float(BFloat16 v) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(v.bits) << 16);
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

TEST_P(WidthTest, SiluMulEqualsTheReference) {
  const std::size_t width = GetParam();
  auto gate = normals(width, 3);
  for (float& g : gate) g *= 6.0f;
  gate[0] = -300.0f;  // exp(300) overflows float32
  gate[1] = 300.0f;
  const auto up = normals(width, 4);
  const auto expected = reference::silu_mul(gate, up);
  silu_mul(gate.data(), up.data(), 1, static_cast<std::int64_t>(width));
  for (std::size_t i = 0; i < width; ++i)
    EXPECT_NEAR(gate[i], expected[i], 1e-6 * (1 + std::abs(expected[i]))) << i;
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

/// A kernel gate = f(gate) * up on one row against its reference.
template <typename Kernel, typename Reference>
void expect_gelu(std::size_t width, const Kernel& kernel, const Reference& expect) {
  auto gate = normals(width, 3);
  for (float& g : gate) g *= 6.0f;
  gate[0] = -300.0f;  // exp() of the inner term overflows
  gate[1] = 300.0f;
  const auto up = normals(width, 4);
  const auto expected = expect(gate, up);
  kernel(gate.data(), up.data(), 1, static_cast<std::int64_t>(width));
  for (std::size_t i = 0; i < width; ++i)
    EXPECT_NEAR(gate[i], expected[i], 2e-6 * (1 + std::abs(expected[i]))) << i;
}

TEST_P(WidthTest, GeluMulEqualsTheReference) {
  expect_gelu(GetParam(), gelu_mul<float>, reference::gelu_mul);
}

TEST_P(WidthTest, GeluTanhMulEqualsTheReference) {
  expect_gelu(GetParam(), gelu_tanh_mul<float>, reference::gelu_tanh_mul);
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
  std::vector<BFloat16> gate;
  std::vector<BFloat16> up;
  std::vector<float> gate_f;
  std::vector<float> up_f;
  const auto g = normals(width, 6);
  const auto u = normals(width, 7);
  for (std::size_t i = 0; i < width; ++i) {
    gate.push_back(to_bf16(g[i]));
    up.push_back(to_bf16(u[i]));
    gate_f.push_back(to_float(gate[i]));
    up_f.push_back(to_float(up[i]));
  }
  silu_mul(gate.data(), up.data(), 1, static_cast<std::int64_t>(width));
  silu_mul(gate_f.data(), up_f.data(), 1, static_cast<std::int64_t>(width));
  for (std::size_t i = 0; i < width; ++i) EXPECT_EQ(gate[i].bits, to_bf16(gate_f[i]).bits) << i;
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
