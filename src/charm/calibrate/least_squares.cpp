#include "charm/calibrate/least_squares.h"

#include <algorithm>
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

}  // namespace charm::calibrate
