#include "charm/kernels/row_gradients.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "charm/kernels/thread_pool.h"
#include "tests/unit/kernels/element_values.h"
#include "tests/unit/kernels/reference.h"

namespace charm::kernels {
namespace {

using testing_support::random_elements;
using testing_support::values_of;

template <typename Element>
constexpr double kUnit = std::is_same_v<Element, float> ? 2e-6 : 1.0 / 200;

/// Rows of `heads` norms beside three other elements.
template <typename Element>
void expect_norm(std::int64_t rows, std::int64_t heads, std::int64_t width, float offset,
                 bool add) {
  const std::int64_t stride = heads * width + 3;
  const auto x = random_elements<Element>(rows * stride, 1);
  const auto dy = random_elements<Element>(rows * stride, 2);
  const auto weight = random_elements<float>(width, 3);
  const auto before = random_elements<Element>(rows * stride, 4);
  auto dx = before;
  std::vector<float> dw(static_cast<std::size_t>(width), 0.25f);
  const NormRows<Element> norm{.x = {x.data(), stride},
                               .dy = {dy.data(), stride},
                               .weight = weight.data(),
                               .weight_offset = offset,
                               .eps = 1e-5f,
                               .rows = rows,
                               .heads = heads,
                               .width = width};
  rms_norm_backward(norm, Rows<Element>{dx.data(), stride}, add);
  add_norm_weight_gradient(norm, dw.data());
  std::vector<double> expected_dw(static_cast<std::size_t>(width), 0.25);
  for (std::int64_t t = 0; t < rows; ++t) {
    for (std::int64_t h = 0; h < heads; ++h) {
      const std::int64_t at = t * stride + h * width;
      const auto g = reference::rms_norm_backward(values_of(x.data() + at, width), weight,
                                                  values_of(dy.data() + at, width), offset, 1e-5f);
      for (std::int64_t i = 0; i < width; ++i) {
        const auto n = static_cast<std::size_t>(i);
        const double start = add ? widened(before[static_cast<std::size_t>(at + i)]) : 0.0;
        const double expected = start + g.dx[n];
        ASSERT_NEAR(widened(dx[static_cast<std::size_t>(at + i)]), expected,
                    kUnit<Element> * (1.0 + std::abs(expected)));
        expected_dw[n] += g.dw[n];
      }
    }
    for (std::int64_t i = heads * width; i < stride; ++i) {
      const auto n = static_cast<std::size_t>(t * stride + i);
      ASSERT_EQ(widened(dx[n]), widened(before[n])) << "an element beside the norms changed";
    }
  }
  for (std::size_t i = 0; i < dw.size(); ++i)
    ASSERT_NEAR(dw[i], expected_dw[i], 1e-5 * static_cast<double>(rows * heads));
}

TEST(RmsNormBackward, EqualsTheReference) {
  for (const bool add : {false, true}) {
    expect_norm<float>(3, 1, 1, 0.0f, add);
    expect_norm<float>(70, 1, 37, 1.0f, add);
    expect_norm<float>(5, 3, 64, 0.0f, add);
    expect_norm<BFloat16>(70, 1, 37, 1.0f, add);
    expect_norm<BFloat16>(5, 3, 64, 0.0f, add);
  }
}

TEST(RmsNormRows, EqualTheInferenceKernelBesideRounding) {
  const auto x = random_elements<float>(6 * 40, 1);
  const auto weight = random_elements<float>(40, 2);
  std::vector<float> found(x.size()), expected(x.size());
  rms_norm_rows<float>({x.data(), 40}, weight.data(), 1.0f, 1e-5f, {found.data(), 40}, 6, 1, 40);
  rms_norm(x.data(), weight.data(), 1e-5f, expected.data(), 6, 40, 1.0f);
  for (std::size_t i = 0; i < x.size(); ++i)
    EXPECT_NEAR(found[i], expected[i], 1e-6 * (1.0 + std::abs(expected[i])));
}

TEST(GateBackward, EqualsTheReferencesSlopes) {
  const std::int64_t rows = 3, width = 53;
  auto gate = random_elements<float>(rows * width, 1);
  for (std::size_t i = 0; i < gate.size(); ++i) gate[i] *= 4.0f;
  gate[0] = 0.0f;
  gate[1] = -40.0f;
  gate[2] = 40.0f;
  const auto up = random_elements<float>(rows * width, 2);
  const auto dh = random_elements<float>(rows * width, 3);
  struct Case {
    GateFunction function;
    reference::GateValue (*expected)(double);
    double tolerance;
  };
  for (const Case& c : {Case{GateFunction::kSilu, reference::silu, 2e-6},
                        Case{GateFunction::kGelu, reference::gelu, 5e-6},
                        Case{GateFunction::kGeluTanh, reference::gelu_tanh, 2e-6},
                        Case{GateFunction::kQuickGelu, reference::quick_gelu, 2e-6},
                        Case{GateFunction::kRelu, reference::relu, 1e-7},
                        Case{GateFunction::kReluSquared, reference::relu_squared, 5e-6}}) {
    std::vector<float> hidden(gate.size()), gradient(2 * gate.size());
    gate_rows(gate.data(), up.data(), c.function, hidden.data(), rows, width);
    gate_backward(gate.data(), up.data(), dh.data(), c.function, gradient.data(), rows, width);
    for (std::int64_t t = 0; t < rows; ++t) {
      for (std::int64_t i = 0; i < width; ++i) {
        const auto n = static_cast<std::size_t>(t * width + i);
        const auto at = static_cast<std::size_t>(2 * t * width + i);
        const reference::GateValue f = c.expected(gate[n]);
        const double scale = c.tolerance * (1.0 + std::abs(double{gate[n]}));
        EXPECT_NEAR(hidden[n], f.value * up[n], scale * (1.0 + std::abs(up[n]))) << gate[n];
        EXPECT_NEAR(gradient[at], double{dh[n]} * up[n] * f.slope,
                    scale * (1.0 + std::abs(dh[n] * up[n])))
            << gate[n];
        EXPECT_NEAR(gradient[at + static_cast<std::size_t>(width)], dh[n] * f.value,
                    scale * (1.0 + std::abs(dh[n])))
            << gate[n];
      }
    }
  }
}

TEST(ReferenceGates, SlopesAreTheDifferencesOfTheValues) {
  for (const auto function : {reference::silu, reference::gelu, reference::gelu_tanh,
                              reference::quick_gelu, reference::relu, reference::relu_squared}) {
    for (double z = -5.0; z < 5.0; z += 0.37) {
      constexpr double kStep = 1e-5;
      const double difference =
          (function(z + kStep).value - function(z - kStep).value) / (2 * kStep);
      EXPECT_NEAR(function(z).slope, difference, 1e-8) << z;
    }
  }
}

TEST(RopeRows, TheInverseUndoesTheRotation) {
  const std::int64_t rows = 4, heads = 3, dim = 20, rotary = 12, stride = heads * dim + 5;
  const auto x = random_elements<float>(rows * stride, 1);
  std::vector<float> cos, sin;
  for (std::int64_t i = 0; i < rows * rotary / 2; ++i) {
    cos.push_back(std::cos(0.1f * static_cast<float>(i)));
    sin.push_back(std::sin(0.1f * static_cast<float>(i)));
  }
  auto turned = x;
  rope_rows<float>({turned.data(), stride}, cos.data(), sin.data(), rows, heads, dim, rotary,
                   false);
  EXPECT_NE(turned, x);
  const auto first = reference::rope({turned.begin(), turned.begin() + rotary}, cos, sin);
  rope_rows<float>({turned.data(), stride}, cos.data(), sin.data(), rows, heads, dim, rotary, true);
  for (std::size_t i = 0; i < x.size(); ++i) EXPECT_NEAR(turned[i], x[i], 1e-5);
}

// Widths that the threads split elsewhere than at a vector's border.
TEST(NormWeightGradient, DependsOnNoThreads) {
  for (const std::int64_t width : {34, 72, 128, 576}) {
    const std::int64_t rows = 37, heads = 3, stride = heads * width;
    const auto x = random_elements<float>(rows * stride, 1);
    const auto dy = random_elements<float>(rows * stride, 2);
    const NormRows<float> norm{.x = {x.data(), stride},
                               .dy = {dy.data(), stride},
                               .eps = 1e-5f,
                               .rows = rows,
                               .heads = heads,
                               .width = width};
    std::vector<float> expected;
    for (const std::int64_t threads : {1, 2, 3, 5, 7}) {
      set_num_threads(threads);
      std::vector<float> dw(static_cast<std::size_t>(width), 0.25f);
      add_norm_weight_gradient(norm, dw.data());
      if (expected.empty()) expected = dw;
      EXPECT_EQ(dw, expected) << "width " << width << ", threads " << threads;
    }
  }
  set_num_threads(2);
}

TEST(ColumnSums, AddEveryRowAndDependOnNoThreads) {
  const std::int64_t rows = 129, columns = 200;
  const auto dy = random_elements<BFloat16>(rows * columns, 1);
  std::vector<float> expected;
  for (const std::int64_t threads : {1, 2, 3}) {
    set_num_threads(threads);
    std::vector<float> sums(static_cast<std::size_t>(columns), 1.0f);
    add_column_sums<BFloat16>({dy.data(), columns}, rows, columns, sums.data());
    if (expected.empty()) expected = sums;
    EXPECT_EQ(sums, expected);
  }
  set_num_threads(2);
  for (std::int64_t c = 0; c < columns; ++c) {
    double sum = 1.0;
    for (std::int64_t t = 0; t < rows; ++t)
      sum += widened(dy[static_cast<std::size_t>(t * columns + c)]);
    EXPECT_NEAR(expected[static_cast<std::size_t>(c)], sum, 1e-4);
  }
}

TEST(EmbeddingGradient, AddsToTheRowsOfTheIdsAndSkipsOne) {
  const std::vector<std::int32_t> ids = {2, 0, 2, 1};
  const auto dx = random_elements<float>(4 * 5, 1);
  std::vector<float> gradient(3 * 5, 1.0f);
  add_embedding_gradient<float>(ids, dx.data(), 5, 2.0f, /*skipped=*/1, gradient.data());
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_FLOAT_EQ(gradient[i], 1.0f + 2.0f * dx[5 + i]);
    EXPECT_EQ(gradient[5 + i], 1.0f);
    EXPECT_NEAR(gradient[10 + i], 1.0f + 2.0f * (dx[i] + dx[10 + i]), 1e-6);
  }
}

TEST(SumOfSquares, EqualsTheSumWhateverTheThreads) {
  const auto x = random_elements<float>(70000, 1);
  double expected = 0.0;
  for (const float v : x) expected += double{v} * v;
  for (const std::int64_t threads : {1, 2}) {
    set_num_threads(threads);
    EXPECT_NEAR(sum_of_squares(x.data(), 70000), expected, 1e-8 * expected);
  }
  set_num_threads(2);
}

/// AdamW of one number, straight from the paper, in float64.
struct ScalarAdamW {
  double p, m = 0.0, v = 0.0;
  int t = 0;
  void step(double g, double lr, double weight_decay) {
    const double b1 = 0.9, b2 = 0.99, eps = 1e-6;
    ++t;
    p -= lr * weight_decay * p;
    m = b1 * m + (1 - b1) * g;
    v = b2 * v + (1 - b2) * g * g;
    p -= lr / (1 - std::pow(b1, t)) * m / (std::sqrt(v / (1 - std::pow(b2, t))) + eps);
  }
};

TEST(AdamWStep, EqualsTheFormulaForManyStepsAndSizes) {
  for (const std::int64_t size : {1, 7, 64, 1001, 40000}) {
    std::vector<float> p(static_cast<std::size_t>(size), 0.7f), m(p.size()), v(p.size());
    ScalarAdamW expected{0.7};
    for (int step = 1; step <= 20; ++step) {
      const double gradient = std::sin(step) * 0.3;
      const std::vector<float> g(p.size(), static_cast<float>(gradient));
      adamw_step(p.data(), g.data(), m.data(), v.data(), size,
                 {.learning_rate = 0.01,
                  .beta1 = 0.9,
                  .beta2 = 0.99,
                  .eps = 1e-6,
                  .weight_decay = 0.1,
                  .step = step});
      expected.step(gradient, 0.01, 0.1);
    }
    for (const float found : p) ASSERT_NEAR(found, expected.p, 2e-6) << size;
  }
}

}  // namespace
}  // namespace charm::kernels
