// The kernels of a gated delta net against float64, and their bits whatever the tiles and threads.
#include "charm/kernels/delta_net.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "charm/base/random.h"
#include "charm/kernels/kernels.h"
#include "charm/kernels/thread_pool.h"
#include "tests/unit/kernels/reference.h"

namespace charm::kernels {
namespace {

std::vector<float> delta_normals(std::int64_t n, std::uint64_t index) {
  RandomStream stream(8, "delta_net_test", index);
  std::vector<float> values(static_cast<std::size_t>(n));
  for (float& v : values) v = static_cast<float>(stream.normal());
  return values;
}

/// Column `c` of a matrix.
template <typename To = float>
std::vector<To> column(const std::vector<float>& x, std::int64_t width, std::int64_t c) {
  std::vector<To> values;
  for (std::size_t i = static_cast<std::size_t>(c); i < x.size();
       i += static_cast<std::size_t>(width))
    values.push_back(x[i]);
  return values;
}

/// `count` columns from `first` on.
std::vector<double> columns(const std::vector<float>& x, std::int64_t width, std::int64_t first,
                            std::int64_t count) {
  std::vector<double> values;
  const auto rows = static_cast<std::int64_t>(x.size()) / width;
  for (std::int64_t t = 0; t < rows; ++t) {
    for (std::int64_t c = 0; c < count; ++c)
      values.push_back(x[static_cast<std::size_t>(t * width + first + c)]);
  }
  return values;
}

TEST(DeltaNet, TheConvolutionEqualsTheReference) {
  for (const std::int64_t channels : {1, 7, 40, 130}) {
    for (const std::int64_t taps : {2, 4}) {
      const std::int64_t rows = 9;
      const auto x = delta_normals(rows * channels, 1), weight = delta_normals(taps * channels, 2);
      std::vector<float> out(x.size());
      const ConvSpan<float> span{.begin = 0, .length = rows};
      causal_conv_silu<float>(x.data(), {&span, 1}, weight.data(), taps, channels, out.data());
      for (std::int64_t c = 0; c < channels; ++c) {
        const auto expected =
            reference::causal_conv_silu(column(x, channels, c), column(weight, channels, c));
        const auto found = column(out, channels, c);
        for (std::size_t t = 0; t < found.size(); ++t)
          EXPECT_NEAR(found[t], expected[t], 1e-6 * (1 + std::abs(expected[t]))) << c << " " << t;
      }
    }
  }
}

TEST(DeltaNet, TheConvolutionGoesOnFromItsTail) {
  constexpr std::int64_t kChannels = 70, kTaps = 4, kRows = 11;
  const auto x = delta_normals(kRows * kChannels, 3), weight = delta_normals(kTaps * kChannels, 4);
  std::vector<float> whole(x.size()), parts(x.size());
  const ConvSpan<float> all{.begin = 0, .length = kRows};
  causal_conv_silu<float>(x.data(), {&all, 1}, weight.data(), kTaps, kChannels, whole.data());
  for (const std::int64_t first : {1, 2, 3, 7}) {  // shorter and longer than the tail
    std::vector<float> tail((kTaps - 1) * kChannels);
    std::int64_t begin = 0;
    for (const std::int64_t length : {first, std::int64_t{1}, kRows - first - 1}) {
      const ConvSpan<float> span{.begin = begin,
                                 .length = length,
                                 .before = begin == 0 ? nullptr : tail.data(),
                                 .after = tail.data()};
      causal_conv_silu<float>(x.data(), {&span, 1}, weight.data(), kTaps, kChannels, parts.data());
      begin += length;
    }
    EXPECT_EQ(parts, whole) << first;
  }
}

TEST(DeltaNet, GatesEqualTheirFormulas) {
  const std::vector<float> a = {-30.0f, -1.0f, 0.5f, 19.0f, 25.0f, 90.0f},
                           b = {0.0f, -100.0f, 100.0f, 1.0f, -1.0f, 3.0f}, rate = {0.01f, 7.0f},
                           bias = {1.0f, -0.5f};
  std::vector<float> decay(6), beta(6);
  delta_gates<float>(a.data(), b.data(), rate.data(), bias.data(), 3, 2, decay.data(), beta.data());
  for (std::size_t i = 0; i < 6; ++i) {
    const double softplus = std::log1p(std::exp(double{a[i]} + bias[i % 2]));
    EXPECT_NEAR(decay[i], std::exp(-double{rate[i % 2]} * softplus), 1e-6) << i;
    EXPECT_NEAR(beta[i], 1.0 / (1.0 + std::exp(-double{b[i]})), 1e-7) << i;
  }
}

class DeltaRule : public testing::TestWithParam<DeltaShape> {
 protected:
  static constexpr std::int64_t kRows = 300;

  void SetUp() override {
    qkv_ = delta_normals(kRows * shape_.channels(), 5);
    const float scale = 1.0f / std::sqrt(static_cast<float>(shape_.key_dim));
    l2_normalize(qkv_.data(), kRows, shape_.channels(), shape_.key_heads, shape_.key_dim, scale);
    l2_normalize(qkv_.data() + shape_.keys(), kRows, shape_.channels(), shape_.key_heads,
                 shape_.key_dim, 1.0f);
    decay_ = delta_normals(kRows * shape_.value_heads, 6);
    beta_ = delta_normals(kRows * shape_.value_heads, 7);
    for (float& v : decay_) v = std::exp(-0.1f * v * v);  // most between 0.5 and 1
    for (float& v : beta_) v = 1.0f / (1.0f + std::exp(-v));
  }
  void TearDown() override { set_num_threads(2); }

  std::vector<float> run(std::span<const DeltaSpan> spans) const {
    std::vector<float> out(static_cast<std::size_t>(kRows * shape_.values()));
    gated_delta_rule(qkv_.data(), decay_.data(), beta_.data(), spans, shape_, out.data());
    return out;
  }
  std::vector<float> run_whole() const {
    const DeltaSpan all{.begin = 0, .length = kRows};
    return run({&all, 1});
  }

  const DeltaShape shape_ = GetParam();
  std::vector<float> qkv_, decay_, beta_;
};
INSTANTIATE_TEST_SUITE_P(Shapes, DeltaRule,
                         testing::Values(DeltaShape{1, 1, 3, 4}, DeltaShape{2, 6, 16, 40},
                                         DeltaShape{1, 2, 128, 128}));

TEST_P(DeltaRule, EqualsFloat64) {
  const std::vector<float> out = run_whole();
  double worst = 0.0;
  for (std::int64_t h = 0; h < shape_.value_heads; ++h) {
    const std::int64_t key = h / (shape_.value_heads / shape_.key_heads) * shape_.key_dim;
    const auto part = [&](std::int64_t first, std::int64_t width) {
      return columns(qkv_, shape_.channels(), first, width);
    };
    const std::vector<double> expected = reference::gated_delta_rule(
        part(key, shape_.key_dim), part(shape_.keys() + key, shape_.key_dim),
        part(2 * shape_.keys() + h * shape_.value_dim, shape_.value_dim),
        column<double>(decay_, shape_.value_heads, h),
        column<double>(beta_, shape_.value_heads, h));
    const std::vector<double> found =
        columns(out, shape_.values(), h * shape_.value_dim, shape_.value_dim);
    for (std::size_t i = 0; i < found.size(); ++i)
      worst = std::max(worst, std::abs(found[i] - expected[i]));
  }
  RecordProperty("worst", fmt::format("{:.1e}", worst));
  EXPECT_LT(worst, 1e-6);  // of values around 0.1 .. 1
}

TEST_P(DeltaRule, GoesOnFromItsStateInAnyTilesAndThreads) {
  const std::vector<float> whole = run_whole();
  for (const int threads : {1, 2, 3}) {
    set_num_threads(threads);
    std::vector<float> state(static_cast<std::size_t>(shape_.state_size()));
    const DeltaSpan spans[] = {
        {.begin = 0, .length = 1, .after = state.data()},
        {.begin = 1, .length = 99, .before = state.data(), .after = state.data()},
        {.begin = 100, .length = 200, .before = state.data()}};
    EXPECT_EQ(run(spans), whole) << threads;
  }
}

TEST_P(DeltaRule, SequencesShareAStateThatNoneChanges) {
  std::vector<float> state(static_cast<std::size_t>(shape_.state_size()));
  // The rows of two responses are the same, and so is what comes out of them.
  std::copy_n(qkv_.begin() + 100 * shape_.channels(), 50 * shape_.channels(),
              qkv_.begin() + 200 * shape_.channels());
  for (std::vector<float>* gates : {&decay_, &beta_}) {
    std::copy_n(gates->begin() + 100 * shape_.value_heads, 50 * shape_.value_heads,
                gates->begin() + 200 * shape_.value_heads);
  }
  const DeltaSpan spans[] = {{.begin = 0, .length = 100, .after = state.data()},
                             {.begin = 100, .length = 100, .before = state.data()},
                             {.begin = 200, .length = 100, .before = state.data()}};
  const std::vector<float> out = run(spans);
  const auto rows = [&](std::int64_t begin) {
    return std::vector<float>(out.begin() + begin * shape_.values(),
                              out.begin() + (begin + 50) * shape_.values());
  };
  EXPECT_EQ(rows(100), rows(200));
}

TEST(DeltaNet, TheGatedNormEqualsItsFormula) {
  for (const std::int64_t width : {1, 5, 128}) {
    const auto x = delta_normals(3 * width, 9), z = delta_normals(3 * width, 10),
               weight = delta_normals(width, 11);
    std::vector<float> out(x.size());
    gated_rms_norm<float>(x.data(), z.data(), weight.data(), 1e-6f, 3, width, out.data());
    std::vector<BFloat16> gate(z.size()), rounded(z.size());
    for (std::size_t i = 0; i < z.size(); ++i) narrow_to(z[i], gate[i]);
    gated_rms_norm<BFloat16>(x.data(), gate.data(), weight.data(), 1e-6f, 3, width, rounded.data());
    for (std::size_t i = 0; i < x.size(); ++i) {
      const auto e = static_cast<std::size_t>(width);
      double squares = 0.0;
      for (std::size_t j = i / e * e; j < (i / e + 1) * e; ++j) squares += double{x[j]} * x[j];
      const double normed =
          weight[i % e] * (x[i] / std::sqrt(squares / static_cast<double>(width) + 1e-6));
      const auto gated = [&](double g) { return normed * g / (1.0 + std::exp(-g)); };
      EXPECT_NEAR(out[i], gated(z[i]), 1e-6 * (1 + std::abs(normed))) << i;
      const double expected = gated(widened(gate[i]));
      EXPECT_NEAR(widened(rounded[i]), expected, 0.005 * std::abs(expected) + 1e-6) << i;
    }
  }
}

TEST(DeltaNet, AttentionsGateIsASigmoid) {
  auto x = delta_normals(37, 12);
  const auto before = x;
  auto gate = delta_normals(37, 13);
  gate[0] = -300.0f;  // exp(300) overflows float32
  gate[1] = 300.0f;
  sigmoid_mul(x.data(), gate.data(), 37);
  for (std::size_t i = 0; i < x.size(); ++i)
    EXPECT_NEAR(x[i], before[i] / (1.0 + std::exp(-double{gate[i]})), 1e-6) << i;
}

}  // namespace
}  // namespace charm::kernels
