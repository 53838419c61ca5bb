#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <span>
#include <vector>

#include "charm/kernels/gemm.h"
#include "charm/kernels/thread_pool.h"
#include "tests/unit/kernels/element_values.h"

namespace charm::kernels {
namespace {

using testing_support::random_elements;

struct ProductShape {
  std::int64_t rows, inputs, outputs;
};
void PrintTo(const ProductShape& s, std::ostream* out) {
  *out << s.rows << "x" << s.inputs << "x" << s.outputs;
}

class WeightGradientTest : public testing::TestWithParam<ProductShape> {
 protected:
  void TearDown() override { set_num_threads(2); }

  template <typename Element>
  std::vector<float> add(const std::vector<Element>& dy, const std::vector<Element>& x,
                         std::span<const RowRun> runs) const {
    const ProductShape& s = GetParam();
    std::vector<float> gradient(static_cast<std::size_t>(s.outputs * s.inputs), 0.5f);
    add_to(gradient, dy, x, runs);
    return gradient;
  }

  template <typename Element>
  void add_to(std::vector<float>& gradient, const std::vector<Element>& dy,
              const std::vector<Element>& x, std::span<const RowRun> runs) const {
    const ProductShape& s = GetParam();
    HugePageBuffer memory_x, memory_y;
    const RowPanels packed_x = RowPanels::pack(x.data(), s.inputs, s.inputs, runs, memory_x);
    const RowPanels packed_y = RowPanels::pack(dy.data(), s.outputs, s.outputs, runs, memory_y);
    const WeightGradient layers[] = {{&packed_y, gradient.data()}};
    add_weight_gradients(layers, packed_x);
  }

  template <typename Element>
  void expect_sums() const {
    const ProductShape& s = GetParam();
    const auto dy = random_elements<Element>(s.rows * s.outputs, 1);
    const auto x = random_elements<Element>(s.rows * s.inputs, 2);
    const RowRun all[] = {{0, s.rows}};
    const std::vector<float> found = add(dy, x, all);
    for (std::int64_t o = 0; o < s.outputs; ++o) {
      for (std::int64_t i = 0; i < s.inputs; ++i) {
        double expected = 0.5;
        for (std::int64_t t = 0; t < s.rows; ++t) {
          expected += double{widened(dy[static_cast<std::size_t>(t * s.outputs + o)])} *
                      widened(x[static_cast<std::size_t>(t * s.inputs + i)]);
        }
        ASSERT_NEAR(found[static_cast<std::size_t>(o * s.inputs + i)], expected,
                    1e-6 * static_cast<double>(s.rows) + 1e-5)
            << o << ", " << i;
      }
    }
  }
};

INSTANTIATE_TEST_SUITE_P(Shapes, WeightGradientTest,
                         testing::Values(ProductShape{1, 1, 1}, ProductShape{5, 3, 7},
                                         ProductShape{64, 64, 64}, ProductShape{77, 130, 65},
                                         ProductShape{1100, 70, 128}));

TEST_P(WeightGradientTest, Float32IsTheSumOverRows) { expect_sums<float>(); }
TEST_P(WeightGradientTest, BFloat16IsTheSumOverRows) { expect_sums<BFloat16>(); }

TEST_P(WeightGradientTest, BitsDependNeitherOnThreadsNorOnHowRowsAreDivided) {
  const ProductShape& s = GetParam();
  const auto dy = random_elements<BFloat16>(s.rows * s.outputs, 1);
  const auto x = random_elements<BFloat16>(s.rows * s.inputs, 2);
  const std::int64_t first = s.rows / 3, half = first / 2 / 2 * 2;
  const RowRun runs[] = {{0, first}, {first, s.rows - first}};
  std::vector<float> divided(static_cast<std::size_t>(s.outputs * s.inputs), 0.5f);
  const RowRun part_a[] = {{0, half}}, part_b[] = {{half, first - half}, {first, s.rows - first}};
  add_to(divided, dy, x, part_a);
  add_to(divided, dy, x, part_b);
  for (const std::int64_t threads : {1, 2, 3}) {
    set_num_threads(threads);
    const std::vector<float> whole = add<BFloat16>(dy, x, runs);
    EXPECT_EQ(std::memcmp(whole.data(), divided.data(), whole.size() * sizeof(float)), 0)
        << threads;
  }
}

template <typename Element>
void expect_input_gradient(const ProductShape& s, double tolerance) {
  const auto dy = random_elements<Element>(s.rows * (s.outputs + 3), 1);
  const auto first = random_elements<Element>(s.outputs * s.inputs, 2);
  const auto second = random_elements<Element>(3 * s.inputs, 3);
  const std::pair<const Element*, std::int64_t> parts[] = {{first.data(), s.outputs},
                                                           {second.data(), 3}};
  const PackedWeight weight = PackedWeight::pack_transposed<Element>(parts, s.inputs);
  std::vector<Element> dx(static_cast<std::size_t>(s.rows * s.inputs));
  const GemmOutput<Element> outputs[] = {{&weight, dx.data(), s.inputs}};
  gemm<Element>(dy.data(), s.outputs + 3, s.rows, outputs);
  for (std::int64_t t = 0; t < s.rows; ++t) {
    for (std::int64_t i = 0; i < s.inputs; ++i) {
      double expected = 0.0;
      for (std::int64_t o = 0; o < s.outputs + 3; ++o) {
        const auto& of = o < s.outputs ? first : second;
        const std::int64_t row = o < s.outputs ? o : o - s.outputs;
        expected += double{widened(dy[static_cast<std::size_t>(t * (s.outputs + 3) + o)])} *
                    widened(of[static_cast<std::size_t>(row * s.inputs + i)]);
      }
      ASSERT_NEAR(widened(dx[static_cast<std::size_t>(t * s.inputs + i)]), expected,
                  tolerance * (1.0 + std::abs(expected)))
          << t << ", " << i;
    }
  }
}

TEST_P(WeightGradientTest, InputGradientsAreProductsWithTheStackedTransposes) {
  expect_input_gradient<float>(GetParam(), 1e-5);
  expect_input_gradient<BFloat16>(GetParam(), 1.0 / 256);
}

}  // namespace
}  // namespace charm::kernels
