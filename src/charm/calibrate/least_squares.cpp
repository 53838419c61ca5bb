#include "charm/calibrate/least_squares.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "charm/stats/cholesky.h"

namespace charm::calibrate {
std::vector<double> least_squares_step(std::size_t num_policies, std::size_t reference,
                                       std::span<const PairTerm> terms,
                                       std::span<const PairValue> values, double damping) {
  const std::size_t n = num_policies;
  std::vector<double> normal(n * n, 0.0);
  std::vector<double> right(n, 0.0);
  for (std::size_t p = 0; p < terms.size(); ++p) {
    const std::size_t i = terms[p].over;
    const std::size_t j = terms[p].ref;
    const double curvature = terms[p].weight * values[p].slope * values[p].slope;
    const double gradient = terms[p].weight * values[p].slope * values[p].residual;
    normal[i * n + i] += curvature;
    normal[j * n + j] += curvature;
    normal[i * n + j] -= curvature;
    normal[j * n + i] -= curvature;
    right[i] -= gradient;
    right[j] += gradient;
  }
  double largest = 0.0;
  for (std::size_t i = 0; i < n; ++i) largest = std::max(largest, normal[i * n + i]);
  for (std::size_t i = 0; i < n; ++i) {
    // The floor keeps the matrix positive definite where an offset is undetermined (no slope on any
    // of its pairs).
    normal[i * n + i] = normal[i * n + i] * (1.0 + damping) + 1e-14 * largest + 1e-300;
    normal[reference * n + i] = normal[i * n + reference] = 0.0;
  }
  normal[reference * n + reference] = 1.0;
  right[reference] = 0.0;
  return stats::Cholesky(std::move(normal), n).solve(std::move(right));
}

double sum_of_squares(std::span<const PairTerm> terms, std::span<const PairValue> values) {
  double sum = 0.0;
  for (std::size_t p = 0; p < terms.size(); ++p) {
    sum += terms[p].weight * values[p].residual * values[p].residual;
  }
  return sum;
}

std::vector<PairValue> pair_values(std::span<const std::unique_ptr<SmoothCurve>> curves,
                                   std::span<const PairTerm> terms,
                                   std::span<const double> offsets) {
  std::vector<PairValue> values;
  values.reserve(terms.size());
  for (std::size_t p = 0; p < terms.size(); ++p) {
    const CurvePoint point = curves[p]->at(offsets[terms[p].over] - offsets[terms[p].ref]);
    values.push_back({.residual = point.win_rate - terms[p].target, .slope = point.slope});
  }
  return values;
}

std::vector<double> fit_offsets(std::span<const std::unique_ptr<SmoothCurve>> curves,
                                std::span<const PairTerm> terms, std::size_t reference,
                                std::vector<double> start) {
  constexpr double kStep = 1e-11;
  constexpr int kMaxSteps = 300;
  std::vector<double> offsets = std::move(start);
  std::vector<PairValue> values = pair_values(curves, terms, offsets);
  double objective = sum_of_squares(terms, values);
  double damping = 1e-3;
  for (int step = 0; step < kMaxSteps; ++step) {
    const auto change = least_squares_step(offsets.size(), reference, terms, values, damping);
    std::vector<double> next = offsets;
    double largest = 0.0;
    for (std::size_t i = 0; i < next.size(); ++i) {
      next[i] += change[i];
      largest = std::max(largest, std::abs(change[i]));
    }
    auto next_values = pair_values(curves, terms, next);
    const double next_objective = sum_of_squares(terms, next_values);
    if (next_objective < objective) {
      offsets = std::move(next);
      values = std::move(next_values);
      objective = next_objective;
      damping = std::max(1e-12, damping * 0.1);
    } else {
      damping *= 10.0;
    }
    if (largest < kStep || damping > 1e12) break;
  }
  return offsets;
}

}  // namespace charm::calibrate
