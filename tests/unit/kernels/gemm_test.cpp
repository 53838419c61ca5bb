#include "charm/kernels/gemm.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <set>
#include <string>
#include <vector>

#include "charm/kernels/micro_kernel.h"
#include "charm/kernels/thread_pool.h"
#include "tests/unit/kernels/element_values.h"
#include "tests/unit/kernels/reference.h"

namespace charm::kernels {
namespace {

using testing_support::element_of;
using testing_support::random_elements;

template <typename Element>
std::vector<float> floats(const std::vector<Element>& values) {
  std::vector<float> result;
  for (const Element& v : values) result.push_back(widened(v));
  return result;
}

struct Shape {
  std::int64_t rows, inputs, outputs;
};
void PrintTo(const Shape& s, std::ostream* out) {
  *out << s.rows << "x" << s.inputs << "x" << s.outputs;
}

// A result is a dot product of `inputs` normal numbers, accumulated in float32 and rounded once.
template <typename Element>
double tolerance(double expected, std::int64_t inputs) {
  const double unit = std::is_same_v<Element, float> ? 0.0 : 1.0 / 256;
  return std::abs(expected) * unit + 1e-6 * static_cast<double>(inputs);
}

/// By GateFunction.
constexpr reference::GateValue (*kGates[])(double) = {
    reference::silu,       reference::gelu, reference::gelu_tanh,
    reference::quick_gelu, reference::relu, reference::relu_squared};
static_assert(std::size(kGates) == kNumGateFunctions);
constexpr auto kSquared = static_cast<std::size_t>(GateFunction::kReluSquared);

template <typename Element>
void expect_reference(const Shape& s) {
  const auto x = random_elements<Element>(s.rows * (s.inputs + 3), 1);  // rows three elements apart
  const auto weight = random_elements<Element>(s.outputs * s.inputs, 2);
  auto bias = random_elements<Element>(s.outputs, 3);
  bias.front() = element_of<Element>(-300.0f);  // exp(300) overflows float32
  bias.back() = element_of<Element>(300.0f);
  const auto up = random_elements<Element>(s.outputs * s.inputs, 4);
  const auto start = random_elements<Element>(s.rows * s.outputs, 5);
  const PackedWeight plain =
      PackedWeight::pack<Element>(weight.data(), nullptr, s.outputs, s.inputs);
  const PackedWeight with_bias =
      PackedWeight::pack<Element>(weight.data(), bias.data(), s.outputs, s.inputs);
  const PackedWeight gated = PackedWeight::pack_gated<Element>(
      weight.data(), bias.data(), up.data(), nullptr, s.outputs, s.inputs);
  std::vector<Element> stored(start.size()), added(start);
  std::vector<GemmOutput<Element>> outputs = {
      {.weight = &plain, .out = stored.data(), .row_stride = s.outputs},
      {.weight = &with_bias, .out = added.data(), .row_stride = s.outputs, .add = true}};
  std::vector<std::vector<Element>> of_gates(std::size(kGates), std::vector<Element>(start.size()));
  for (std::size_t g = 0; g < of_gates.size(); ++g) {
    outputs.push_back({.weight = &gated,
                       .out = of_gates[g].data(),
                       .row_stride = s.outputs,
                       .gate = static_cast<GateFunction>(g)});
  }
  gemm<Element>(x.data(), s.inputs + 3, s.rows, outputs);

  for (std::int64_t r = 0; r < s.rows; ++r) {
    const auto row = x.begin() + r * (s.inputs + 3);
    const auto x_row = floats(std::vector<Element>(row, row + s.inputs));
    const auto product = reference::linear(x_row, floats(weight), {});
    const auto gate = reference::linear(x_row, floats(weight), floats(bias));
    const auto up_row = reference::linear(x_row, floats(up), {});
    std::vector<std::vector<float>> gated_rows;
    for (const auto function : kGates)
      gated_rows.push_back(reference::gate_mul(function, gate, up_row));
    for (std::int64_t o = 0; o < s.outputs; ++o) {
      const auto at = static_cast<std::size_t>(r * s.outputs + o);
      const auto n = static_cast<std::size_t>(o);
      const auto expect = [&](const Element& found, double expected, double scale) {
        ASSERT_NEAR(widened(found), expected,
                    scale * tolerance<Element>(expected / scale, s.inputs))
            << "row " << r << " output " << o;
      };
      expect(stored[at], product[n], 1);
      expect(added[at], double{widened(start[at])} + gate[n], 1 + std::abs(gate[n]));
      for (std::size_t g = 0; g < of_gates.size(); ++g) {
        const double slope = 1 + (g == kSquared ? 2 * std::abs(gate[n]) : 0);
        expect(of_gates[g][at], gated_rows[g][n],
               slope * (1 + std::abs(up_row[n]) + std::abs(gate[n])));
      }
    }
  }
}

class Gemm : public testing::TestWithParam<Shape> {
 protected:
  void TearDown() override { set_num_threads(2); }
};
INSTANTIATE_TEST_SUITE_P(Shapes, Gemm,
                         testing::Values(Shape{1, 1, 1}, Shape{1, 768, 70}, Shape{5, 33, 65},
                                         Shape{6, 64, 64}, Shape{13, 17, 100}, Shape{97, 1601, 33},
                                         Shape{200, 40, 500}, Shape{193, 800, 7}));

TEST_P(Gemm, Float32EqualsTheReference) { expect_reference<float>(GetParam()); }
TEST_P(Gemm, BFloat16EqualsTheReference) { expect_reference<BFloat16>(GetParam()); }

template <typename Element>
void expect_rows_alone() {
  constexpr std::int64_t kRows = 401, kInputs = 811, kOutputs = 130;
  const auto x = random_elements<Element>(kRows * kInputs, 1);
  const auto weight = random_elements<Element>(kOutputs * kInputs, 2);
  const PackedWeight packed =
      PackedWeight::pack<Element>(weight.data(), nullptr, kOutputs, kInputs);
  const auto apply = [&](std::int64_t first, std::int64_t rows) {
    std::vector<Element> out(static_cast<std::size_t>(rows * kOutputs));
    const std::vector<GemmOutput<Element>> outputs = {
        {.weight = &packed, .out = out.data(), .row_stride = kOutputs}};
    gemm<Element>(x.data() + first * kInputs, kInputs, rows, outputs);
    return out;
  };
  const auto all = apply(0, kRows);
  for (const int threads : {1, 2, 3}) {
    set_num_threads(threads);
    for (const std::int64_t rows : {1, 5, 6, 7, 95, 200, 400}) {
      for (const std::int64_t first : {std::int64_t{0}, std::int64_t{1}, kRows - rows}) {
        const auto some = apply(first, rows);
        EXPECT_EQ(
            std::memcmp(some.data(), all.data() + first * kOutputs, some.size() * sizeof(Element)),
            0)
            << threads << " threads, rows " << first << " to " << first + rows;
      }
    }
  }
}

TEST_F(Gemm, ARowsBitsDependOnTheRowAlone) {
  expect_rows_alone<float>();
  expect_rows_alone<BFloat16>();
}

// Both bfloat16 micro-kernels, whichever the CPU would dispatch to.
TEST(PackedWeight, IsPackedIntoTheMemoryOfAnother) {
  const auto weight = random_elements<float>(70 * 50, 1),
             other = random_elements<float>(70 * 50, 2);
  const std::pair<const float*, std::int64_t> parts[] = {{weight.data(), 70}};
  PackedWeight packed = PackedWeight::pack<float>(other.data(), nullptr, 70, 50);
  const std::uint32_t* memory = packed.panel(0);
  packed = PackedWeight::pack<float>(weight.data(), nullptr, 70, 50, packed.release());
  EXPECT_EQ(packed.panel(0), memory);
  const PackedWeight fresh = PackedWeight::pack<float>(weight.data(), nullptr, 70, 50);
  const auto words = static_cast<std::size_t>(fresh.num_panels() * fresh.steps() * kMicroColumns);
  EXPECT_EQ(std::memcmp(packed.panel(0), fresh.panel(0), words * sizeof(std::uint32_t)), 0);
  const PackedWeight transposed =
      PackedWeight::pack_transposed<float>(parts, 50, packed.release());  // 70 steps of one panel
  EXPECT_EQ(transposed.panel(0), memory);
  EXPECT_EQ(packed.outputs(), 0);
  const PackedWeight larger =
      PackedWeight::pack<float>(weight.data(), nullptr, 70, 50,
                                PackedWeight::pack<float>(other.data(), nullptr, 7, 5).release());
  EXPECT_EQ(std::memcmp(larger.panel(0), fresh.panel(0), words * sizeof(std::uint32_t)), 0);
}

TEST(MicroKernel, NativeAndWidenedBFloat16Agree) {
  const MicroKernel native = internal::native_bf16_micro_kernel();
  if (native == nullptr) GTEST_SKIP() << "this machine has no AVX512-BF16";
  constexpr std::int64_t kSteps = 50;
  const auto a = random_elements<BFloat16>(kMicroRows * kSteps * 2, 1);
  const auto b = random_elements<BFloat16>(kMicroColumns * kSteps * 2, 2);
  const auto words = [](const std::vector<BFloat16>& v) {
    return reinterpret_cast<const std::uint32_t*>(v.data());
  };
  std::vector<float> x(kMicroRows * kMicroColumns, 2.0f), y(x);
  const std::vector<float> beta(kMicroRows, 0.5f);
  native(words(a), kSteps, words(b), kMicroColumns, kSteps, x.data(), kMicroColumns, kMicroRows,
         kMicroColumns, beta.data());
  internal::widened_bf16_micro_kernel()(words(a), kSteps, words(b), kMicroColumns, kSteps, y.data(),
                                        kMicroColumns, kMicroRows, kMicroColumns, beta.data());
  for (std::size_t i = 0; i < x.size(); ++i) EXPECT_NEAR(x[i], y[i], 2e-5) << i;
}

}  // namespace
}  // namespace charm::kernels
