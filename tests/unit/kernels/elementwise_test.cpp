#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <vector>

#include "charm/base/random.h"
#include "charm/kernels/kernels.h"
#include "charm/kernels/thread_pool.h"

namespace charm::kernels {
namespace {

std::vector<float> random_values(std::size_t count, std::uint64_t seed) {
  RandomStream stream(seed, "elementwise_test");
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(3 * stream.normal());
  return values;
}

/// To nearest even.
BFloat16 rounded(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  return {static_cast<std::uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16)};
}
float wide(BFloat16 value) { return std::bit_cast<float>(std::uint32_t{value.bits} << 16); }

std::vector<BFloat16> rounded(const std::vector<float>& values) {
  std::vector<BFloat16> result;
  for (const float value : values) result.push_back(rounded(value));
  return result;
}

TEST(Elementwise, EqualsThePlainFormulaInBothTypesAtAnyLength) {
  for (const std::size_t count : {std::size_t{1}, std::size_t{17}, std::size_t{40'003}}) {
    const auto n = static_cast<std::int64_t>(count);
    const std::vector<float> x = random_values(count, 1), y = random_values(count, 2);
    std::vector<float> sum = x, product = x;
    add(sum.data(), y.data(), n);
    scale(product.data(), 1.7F, n);
    std::vector<BFloat16> x16 = rounded(x), sum16 = x16, product16 = x16;
    const std::vector<BFloat16> y16 = rounded(y);
    add(sum16.data(), y16.data(), n);
    scale(product16.data(), 1.7F, n);
    for (std::size_t i = 0; i < count; ++i) {
      ASSERT_EQ(sum[i], x[i] + y[i]);
      ASSERT_EQ(product[i], x[i] * 1.7F);
      ASSERT_EQ(sum16[i].bits, rounded(wide(x16[i]) + wide(y16[i])).bits);
      ASSERT_EQ(product16[i].bits, rounded(wide(x16[i]) * 1.7F).bits);
    }
  }
}

TEST(Elementwise, GeluIsTheExactOne) {
  for (const std::size_t count : {std::size_t{1}, std::size_t{17}, std::size_t{40'003}}) {
    const auto exact = [](float x) { return x / 2.0 * (1.0 + std::erf(x * std::sqrt(0.5))); };
    const std::vector<float> x = random_values(count, 4);
    std::vector<float> values = x;
    const std::vector<BFloat16> x16 = rounded(x);
    std::vector<BFloat16> values16 = x16;
    gelu(values.data(), static_cast<std::int64_t>(count));
    gelu(values16.data(), static_cast<std::int64_t>(count));
    for (std::size_t i = 0; i < count; ++i) {
      ASSERT_NEAR(values[i], exact(x[i]), 1e-6 * (1.0 + std::abs(x[i])));
      const double of_16 = exact(wide(x16[i]));
      ASSERT_NEAR(wide(values16[i]), of_16, 0.004 * std::abs(of_16) + 1e-6);
    }
  }
}

TEST(Elementwise, SoftcapIsCorrectlyRounded) {
  const std::vector<float> x = random_values(5000, 3);
  std::vector<float> capped = x;
  softcap(capped.data(), 2.5F, static_cast<std::int64_t>(capped.size()));
  for (std::size_t i = 0; i < x.size(); ++i)
    ASSERT_EQ(capped[i], static_cast<float>(std::tanh(double{x[i] / 2.5F})) * 2.5F);
}

}  // namespace
}  // namespace charm::kernels
