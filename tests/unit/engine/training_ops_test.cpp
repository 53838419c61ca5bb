#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/rsqrt.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "charm/engine/ops.h"

namespace charm::engine {
namespace {

constexpr std::int64_t kRows = 131, kWidth = 50, kHeads = 3,
                       kHalf = 4;  // not multiples of blocks and lanes

/// The formulas in ATen's operators, differentiated by autograd.
at::Tensor plain_norm(const at::Tensor& x_TD, const at::Tensor& weight_D,
                      const NormConfig& config) {
  const at::Tensor x = x_TD.to(at::kFloat);
  const at::Tensor scale = at::rsqrt((x * x).mean(-1, true) + config.eps);
  return ((weight_D.to(at::kFloat) + config.weight_offset) * (x * scale)).to(x_TD.scalar_type());
}

at::Tensor plain_rope(const at::Tensor& x_THE, const at::Tensor& cos_TF, const at::Tensor& sin_TF,
                      std::int64_t heads) {
  const at::Tensor x = x_THE.view({x_THE.size(0), heads, -1}).to(at::kFloat);
  const at::Tensor low = x.narrow(-1, 0, kHalf), high = x.narrow(-1, kHalf, kHalf);
  const at::Tensor rest = x.narrow(-1, 2 * kHalf, x.size(-1) - 2 * kHalf);
  const at::Tensor cos = cos_TF.unsqueeze(1), sin = sin_TF.unsqueeze(1);
  return at::cat({low * cos - high * sin, high * cos + low * sin, rest}, -1)
      .to(x_THE.scalar_type());
}

double difference(const at::Tensor& a, const at::Tensor& b) {
  return ((a.to(at::kFloat) - b.to(at::kFloat)).abs().max() / b.to(at::kFloat).abs().max())
      .item<double>();
}

at::Tensor leaf(at::IntArrayRef sizes, at::ScalarType dtype) {
  return at::randn(sizes, at::TensorOptions().dtype(at::kFloat)).to(dtype).requires_grad_(true);
}

class TrainingOps : public testing::TestWithParam<at::ScalarType> {
 protected:
  double tolerance() const {
    return GetParam() == at::kFloat ? 2e-6 : 8e-3;
  }  // bfloat16: one rounding apart
};

TEST_P(TrainingOps, NormAndItsGradientsAreAtens) {
  for (const double offset : {0.0, 1.0}) {
    const NormConfig config{.eps = 1e-5, .weight_offset = offset};
    const at::Tensor x = leaf({kRows, kWidth}, GetParam()), weight = leaf({kWidth}, at::kFloat);
    const at::Tensor dy = at::randn({kRows, kWidth}).to(GetParam());
    const at::Tensor ours = rms_norm_with_backward(x, weight, config),
                     plain = plain_norm(x, weight, config);
    EXPECT_LE(difference(ours, plain), tolerance());
    const auto found = torch::autograd::grad({ours}, {x, weight}, {dy});
    const auto expected = torch::autograd::grad({plain}, {x, weight}, {dy});
    EXPECT_EQ(found[0].scalar_type(), GetParam());
    EXPECT_LE(difference(found[0], expected[0]), tolerance());
    EXPECT_LE(difference(found[1], expected[1]), tolerance());
  }
}

TEST_P(TrainingOps, RopeAndItsGradientAreAtens) {
  for (const std::int64_t head_dim : {2 * kHalf, 2 * kHalf + 3}) {  // all of a head, or a part
    const at::Tensor x = leaf({kRows, kHeads * head_dim}, GetParam());
    const at::Tensor angles = at::rand({kRows, kHalf}) * 6.0;
    const at::Tensor cos = angles.cos(), sin = angles.sin();
    const at::Tensor ours = rope_with_backward(x, cos, sin, kHeads),
                     plain = plain_rope(x, cos, sin, kHeads);
    EXPECT_LE(difference(ours, plain), tolerance());
    // Head-major, as attention's backward returns it.
    const at::Tensor dy = at::randn({kHeads, kRows, head_dim}).to(GetParam()).transpose(0, 1);
    const auto found = torch::autograd::grad({ours}, {x}, {dy}),
               expected = torch::autograd::grad({plain}, {x}, {dy});
    EXPECT_LE(difference(found[0], expected[0]), tolerance());
  }
}

TEST_P(TrainingOps, GradientsDoNotDependOnTheNumberOfThreads) {
  const int before = at::get_num_threads();
  const at::Tensor x = leaf({kRows, kWidth}, GetParam()), weight = leaf({kWidth}, at::kFloat);
  const at::Tensor dy = at::randn({kRows, kWidth}).to(GetParam());
  std::vector<std::vector<at::Tensor>> found;
  for (const int threads : {1, 2, 3}) {
    at::set_num_threads(threads);
    found.push_back(
        torch::autograd::grad({rms_norm_with_backward(x, weight, {})}, {x, weight}, {dy}));
  }
  at::set_num_threads(before);
  for (const auto& gradients : found) {
    EXPECT_TRUE(at::equal(gradients[0], found[0][0]));
    EXPECT_TRUE(at::equal(gradients[1], found[0][1]));
  }
}

INSTANTIATE_TEST_SUITE_P(DTypes, TrainingOps, testing::Values(at::kFloat, at::kBFloat16),
                         [](const auto& dtype) { return std::string(c10::toString(dtype.param)); });

}  // namespace
}  // namespace charm::engine
