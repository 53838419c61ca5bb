#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "charm/explain/regression.h"
#include "charm/stats/cholesky.h"

namespace charm::explain {
namespace {

constexpr int kMaxSteps = 60;
constexpr double kBalanced = 1e-9;      // relative to a column's root mean square
constexpr double kLargestTilt = 500.0;  // of a log weight: beyond it the weights degenerate

// The dual: log of the sum of base_i exp(lambda' x_i), its gradient (the weighted means) and the
// weights.
struct Tilted {
  std::vector<double> weights;
  std::vector<double> means;
  double log_sum = 0.0;
  double largest = 0.0;
};

class Dual {
 public:
  Dual(std::span<const std::vector<double>> columns, std::span<const double> base)
      : base_(base.begin(), base.end()) {
    double total = 0.0;
    for (const double weight : base_) total += weight;
    for (double& weight : base_) weight /= total;
    for (const std::vector<double>& column : columns) {
      double squares = 0.0;
      for (std::size_t i = 0; i < column.size(); ++i) squares += base_[i] * column[i] * column[i];
      scales_.push_back(squares > 0.0 ? std::sqrt(squares) : 1.0);
      scaled_.push_back(column);
      for (double& value : scaled_.back()) value /= scales_.back();
    }
  }

  std::size_t size() const { return scaled_.size(); }
  double scale(std::size_t k) const { return scales_[k]; }

  Tilted at(std::span<const double> lambda) const {
    Tilted result;
    std::vector<double> exponents(base_.size(), 0.0);
    for (std::size_t k = 0; k < size(); ++k) {
      for (std::size_t i = 0; i < exponents.size(); ++i) exponents[i] += lambda[k] * scaled_[k][i];
    }
    result.largest = -1e300;
    for (std::size_t i = 0; i < exponents.size(); ++i) {
      if (base_[i] > 0.0) result.largest = std::max(result.largest, exponents[i]);
    }
    double sum = 0.0;
    for (std::size_t i = 0; i < exponents.size(); ++i) {
      result.weights.push_back(base_[i] > 0.0 ? base_[i] * std::exp(exponents[i] - result.largest)
                                              : 0.0);
      sum += result.weights.back();
    }
    for (double& weight : result.weights) weight /= sum;
    result.log_sum = result.largest + std::log(sum);
    for (const std::vector<double>& column : scaled_) {
      double mean = 0.0;
      for (std::size_t i = 0; i < column.size(); ++i) mean += result.weights[i] * column[i];
      result.means.push_back(mean);
    }
    return result;
  }

  std::vector<double> newton_step(const Tilted& tilted) const {
    std::vector<double> hessian(size() * size());
    for (std::size_t a = 0; a < size(); ++a) {
      for (std::size_t b = 0; b <= a; ++b) {
        double sum = 0.0;
        for (std::size_t i = 0; i < base_.size(); ++i)
          sum += tilted.weights[i] * scaled_[a][i] * scaled_[b][i];
        hessian[a * size() + b] = sum - tilted.means[a] * tilted.means[b];
      }
      hessian[a * size() + a] += 1e-12;
    }
    std::vector<double> right;
    for (const double mean : tilted.means) right.push_back(-mean);
    return stats::Cholesky(std::move(hessian), size()).solve(std::move(right));
  }

 private:
  std::vector<double> base_;
  std::vector<std::vector<double>> scaled_;
  std::vector<double> scales_;
};

}  // namespace

std::optional<Balance> balance(std::span<const std::vector<double>> columns,
                               std::span<const double> base, std::span<const double> start) {
  const Dual dual(columns, base);
  std::vector<double> lambda(dual.size(), 0.0);
  for (std::size_t k = 0; k < start.size(); ++k) lambda[k] = start[k] * dual.scale(k);
  Tilted tilted = dual.at(lambda);
  for (int step = 0; step < kMaxSteps; ++step) {
    const double imbalance =
        std::accumulate(tilted.means.begin(), tilted.means.end(), 0.0,
                        [](double a, double m) { return std::max(a, std::abs(m)); });
    if (imbalance < kBalanced) {
      Balance result{
          .weights = std::move(tilted.weights), .multipliers = {}, .effective_rows = 0.0};
      for (std::size_t k = 0; k < dual.size(); ++k)
        result.multipliers.push_back(lambda[k] / dual.scale(k));
      double squares = 0.0;
      for (const double weight : result.weights) squares += weight * weight;
      result.effective_rows = 1.0 / squares;
      return result;
    }
    const auto change = dual.newton_step(tilted);
    double slope = 0.0;
    for (std::size_t k = 0; k < dual.size(); ++k) slope += tilted.means[k] * change[k];
    if (!(slope < 0.0)) return std::nullopt;
    bool improved = false;
    for (double length = 1.0; length > 1e-8; length *= 0.5) {
      std::vector<double> next = lambda;
      for (std::size_t k = 0; k < dual.size(); ++k) next[k] += length * change[k];
      Tilted candidate = dual.at(next);
      // Near the optimum the decrease is below rounding error; the gradient remains accurate.
      if (!std::isfinite(candidate.log_sum) ||
          candidate.log_sum > tilted.log_sum + 1e-4 * length * slope + 1e-14) {
        continue;
      }
      lambda = std::move(next);
      tilted = std::move(candidate);
      improved = true;
      break;
    }
    if (!improved || tilted.largest > kLargestTilt) return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace charm::explain
