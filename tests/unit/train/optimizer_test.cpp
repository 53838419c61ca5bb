#include "charm/train/optimizer.h"

#include <ATen/ops/linspace.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>

namespace charm::train {
namespace {

Parameter parameter_of(const std::string& name, at::Tensor master, bool decays) {
  Parameter parameter;
  parameter.name = name;
  parameter.master = master;
  parameter.compute = master;
  parameter.gradient = at::zeros(master.sizes(), master.options());
  parameter.decays = decays;
  return parameter;
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

TEST(AdamW, EqualsTheFormulaForManyStepsAndSizes) {
  for (const std::int64_t size : {1, 7, 64, 1001}) {
    std::vector<Parameter> parameters = {
        parameter_of("matrix", at::linspace(-1.0, 1.0, size), true),
        parameter_of("norm", at::ones({size}), false)};
    AdamW optimizer(parameters, {.beta1 = 0.9, .beta2 = 0.99, .eps = 1e-6, .weight_decay = 0.1});
    ScalarAdamW matrix{parameters[0].master[size - 1].item<double>()};
    ScalarAdamW norm{1.0};
    for (int step = 0; step < 20; ++step) {
      const double gradient = std::sin(step) * 0.3;
      for (Parameter& parameter : parameters) parameter.gradient.fill_(gradient);
      optimizer.step(0.01);
      matrix.step(gradient, 0.01, 0.1);
      norm.step(gradient, 0.01, 0.0);
    }
    EXPECT_NEAR(parameters[0].master[size - 1].item<double>(), matrix.p, 2e-6) << size;
    EXPECT_NEAR(parameters[1].master[size - 1].item<double>(), norm.p, 2e-6) << size;
  }
}

TEST(AdamW, LeavesFrozenWeightsAlone) {
  std::vector<Parameter> parameters = {parameter_of("a", at::ones({3}), true),
                                       parameter_of("b", at::ones({3}), true)};
  parameters[1].gradient = at::Tensor();
  AdamW optimizer(parameters, {});
  parameters[0].gradient.fill_(1.0);
  optimizer.step(0.1);
  EXPECT_NE(parameters[0].master[0].item<float>(), 1.0f);
  EXPECT_EQ(parameters[1].master[0].item<float>(), 1.0f);
  EXPECT_EQ(optimizer.state().size(), 2U);
}

TEST(ClipGradients, ScalesOnlyAboveTheLimit) {
  std::vector<Parameter> parameters = {parameter_of("a", at::ones({2}), true),
                                       parameter_of("b", at::ones({2}), true)};
  parameters[0].gradient.fill_(3.0);
  parameters[1].gradient.fill_(4.0);
  const double norm = std::sqrt(2 * 9.0 + 2 * 16.0);
  EXPECT_NEAR(clip_gradients(parameters, 100.0), norm, 1e-6);
  EXPECT_EQ(parameters[0].gradient[0].item<float>(), 3.0f);
  EXPECT_NEAR(clip_gradients(parameters, 0.0), norm, 1e-6);
  EXPECT_NEAR(clip_gradients(parameters, 1.0), norm, 1e-6);
  EXPECT_NEAR(parameters[0].gradient[0].item<double>(), 3.0 / (norm + 1e-6), 1e-6);
  EXPECT_NEAR(clip_gradients(parameters, 0.0), 1.0, 1e-5);
}

}  // namespace
}  // namespace charm::train
