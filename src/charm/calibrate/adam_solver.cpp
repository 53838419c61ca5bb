#include <cmath>
#include <utility>

#include "charm/base/random.h"
#include "charm/calibrate/least_squares.h"
#include "charm/calibrate/offset_solver.h"
#include "charm/calibrate/smooth_pairs.h"

// Reproduces the training of HexagonStar/CHARM (commit 719f0ae, src/calibrate.py,
// neural_network_calibration): an N-64-32-N MLP with ReLU maps a zero input to N offsets; Adam
// (learning rate 0.01, PyTorch's defaults otherwise) minimises the mean squared error between the N
// x N matrices of smooth and of target win rates (zeros on the diagonals) for 100 epochs. The
// arithmetic is float64 and the sums over pairs are exact, so it agrees with the original up to the
// variance of the original's random initialisation.
namespace charm::calibrate {
namespace {

constexpr std::size_t kHidden1 = 64;
constexpr std::size_t kHidden2 = 32;
constexpr int kEpochs = 100;

// A group of parameters with Adam's moments (Kingma and Ba 2015; defaults of torch.optim.Adam, lr
// as in the original).
class Parameters {
 public:
  // PyTorch's default for Linear layers: uniform in +-1/sqrt(fan_in), weights and biases alike.
  Parameters(std::size_t count, std::size_t fan_in, RandomStream& stream)
      : value(count), gradient(count, 0.0), first_(count, 0.0), second_(count, 0.0) {
    const double bound = 1.0 / std::sqrt(static_cast<double>(fan_in));
    for (double& v : value) v = bound * (2.0 * stream.uniform() - 1.0);
  }

  void update(int step) {
    constexpr double kLearningRate = 0.01;
    constexpr double kBeta1 = 0.9;
    constexpr double kBeta2 = 0.999;
    constexpr double kEpsilon = 1e-8;
    const double correction1 = 1.0 - std::pow(kBeta1, step);
    const double correction2 = 1.0 - std::pow(kBeta2, step);
    for (std::size_t i = 0; i < value.size(); ++i) {
      first_[i] = kBeta1 * first_[i] + (1.0 - kBeta1) * gradient[i];
      second_[i] = kBeta2 * second_[i] + (1.0 - kBeta2) * gradient[i] * gradient[i];
      value[i] -= kLearningRate * (first_[i] / correction1) /
                  (std::sqrt(second_[i] / correction2) + kEpsilon);
    }
  }

  std::vector<double> value;
  std::vector<double> gradient;

 private:
  std::vector<double> first_;
  std::vector<double> second_;
};

// out = weight x in + bias; weight row-major [out][in].
struct Linear {
  Parameters weight;
  Parameters bias;

  Linear(std::size_t num_in, std::size_t num_out, RandomStream& stream)
      : weight(num_in * num_out, num_in, stream), bias(num_out, num_in, stream) {}

  std::vector<double> forward(std::span<const double> in) const {
    std::vector<double> out = bias.value;
    for (std::size_t o = 0; o < out.size(); ++o) {
      for (std::size_t i = 0; i < in.size(); ++i) out[o] += weight.value[o * in.size() + i] * in[i];
    }
    return out;
  }

  // Stores the parameters' gradients; returns that of the input.
  std::vector<double> backward(std::span<const double> in, std::span<const double> out_gradient) {
    std::vector<double> in_gradient(in.size(), 0.0);
    for (std::size_t o = 0; o < out_gradient.size(); ++o) {
      bias.gradient[o] = out_gradient[o];
      for (std::size_t i = 0; i < in.size(); ++i) {
        weight.gradient[o * in.size() + i] = out_gradient[o] * in[i];
        in_gradient[i] += out_gradient[o] * weight.value[o * in.size() + i];
      }
    }
    return in_gradient;
  }

  void update(int step) {
    weight.update(step);
    bias.update(step);
  }
};

std::vector<double> relu(std::vector<double> values) {
  for (double& value : values) value = value > 0.0 ? value : 0.0;
  return values;
}

// Gradient with respect to a ReLU's input, given its output.
std::vector<double> relu_gradient(std::vector<double> gradient, std::span<const double> output) {
  for (std::size_t i = 0; i < gradient.size(); ++i) {
    if (output[i] <= 0.0) gradient[i] = 0.0;
  }
  return gradient;
}

// d(mean over the N x N matrix of (win rate - target)^2) / d(offsets). A pair occurs in the matrix
// twice, with opposite residuals, since smooth win rates of the two directions add up to 1.
std::vector<double> loss_gradient(std::span<const std::unique_ptr<SmoothCurve>> curves,
                                  std::span<const PairTerm> terms,
                                  std::span<const double> offsets) {
  const auto cells = static_cast<double>(offsets.size() * offsets.size());
  const auto values = pair_values(curves, terms, offsets);
  std::vector<double> gradient(offsets.size(), 0.0);
  for (std::size_t p = 0; p < terms.size(); ++p) {
    const double slope = 2.0 * 2.0 * values[p].residual * values[p].slope / cells;
    gradient[terms[p].over] += slope;
    gradient[terms[p].ref] -= slope;
  }
  return gradient;
}

std::vector<double> train(std::span<const std::unique_ptr<SmoothCurve>> curves,
                          std::span<const PairTerm> terms, std::size_t num_policies,
                          std::size_t reference, RandomStream stream) {
  const std::vector<double> input(num_policies, 0.0);
  Linear layer1(num_policies, kHidden1, stream);
  Linear layer2(kHidden1, kHidden2, stream);
  Linear layer3(kHidden2, num_policies, stream);
  for (int epoch = 1; epoch <= kEpochs; ++epoch) {
    const auto hidden1 = relu(layer1.forward(input));
    const auto hidden2 = relu(layer2.forward(hidden1));
    const auto offsets = layer3.forward(hidden2);
    const auto gradient2 =
        relu_gradient(layer3.backward(hidden2, loss_gradient(curves, terms, offsets)), hidden2);
    const auto gradient1 = relu_gradient(layer2.backward(hidden1, gradient2), hidden1);
    layer1.backward(input, gradient1);
    layer1.update(epoch);
    layer2.update(epoch);
    layer3.update(epoch);
  }
  auto offsets = layer3.forward(relu(layer2.forward(relu(layer1.forward(input)))));
  // The original shifts all policies; only differences matter, so subtract the reference's offset.
  const double shift = offsets[reference];
  for (double& offset : offsets) offset -= shift;
  return offsets;
}

class AdamSolver final : public OffsetSolver {
 public:
  explicit AdamSolver(const OffsetProblem& problem) : problem_(problem) {
    for (const stats::PolicyPair& pair : problem.pairs) {
      const SmoothPairsOptions options{.temperature = problem.options.temperature,
                                       .block_rows = problem.options.mode.block_rows,
                                       .tolerance = 1e-9};
      pairs_.push_back(make_smooth_pairs(pair.rows.over, pair.rows.ref, options));
    }
  }

  OffsetSolution solve() const override {
    std::vector<std::unique_ptr<SmoothCurve>> curves;
    std::vector<double> targets;
    for (std::size_t p = 0; p < pairs_.size(); ++p) {
      curves.push_back(pairs_[p]->curve());
      targets.push_back(problem_.pairs[p].target);
    }
    const auto terms = pair_terms(problem_, targets);
    OffsetSolution solution;
    solution.offsets =
        train(curves, terms, problem_.policies.size(), problem_.reference, init_stream());
    solution.plateaus.resize(problem_.policies.size());
    for (const PairValue& value : pair_values(curves, terms, solution.offsets)) {
      solution.residuals.push_back(value.residual);
      solution.slopes.push_back(value.slope);
    }
    return solution;
  }

  std::optional<OffsetPlateaus> resolve(std::span<const std::uint32_t> prompt_weights,
                                        std::span<const double> targets,
                                        const OffsetSolution&) const override {
    std::vector<std::unique_ptr<SmoothCurve>> curves;
    for (std::size_t p = 0; p < pairs_.size(); ++p) {
      const auto weights = row_weights(problem_.pairs[p].rows, prompt_weights);
      curves.push_back(pairs_[p]->curve(weights, weights));
    }
    return point_plateaus(train(curves, pair_terms(problem_, targets), problem_.policies.size(),
                                problem_.reference, init_stream()));
  }

 private:
  // The same initialisation for every replicate: intervals reflect the data, not the
  // initialisation.
  RandomStream init_stream() const { return RandomStream(problem_.options.seed, "adam solver"); }

  const OffsetProblem& problem_;
  std::vector<std::unique_ptr<SmoothPairs>> pairs_;
};

}  // namespace

std::unique_ptr<OffsetSolver> make_adam_solver(const OffsetProblem& problem) {
  return std::make_unique<AdamSolver>(problem);
}

}  // namespace charm::calibrate
