#include "charm/calibrate/least_squares.h"

#include <cmath>

namespace charm::calibrate {
namespace {

// Solves A x = b for a symmetric positive definite A (row-major, n x n) by Cholesky, in place;
// returns x.
std::vector<double> solve_positive(std::vector<double> a, std::vector<double> b) {
  const std::size_t n = b.size();
  for (std::size_t j = 0; j < n; ++j) {
    for (std::size_t k = 0; k < j; ++k) a[j * n + j] -= a[j * n + k] * a[j * n + k];
    a[j * n + j] = std::sqrt(a[j * n + j]);
    for (std::size_t i = j + 1; i < n; ++i) {
      for (std::size_t k = 0; k < j; ++k) a[i * n + j] -= a[i * n + k] * a[j * n + k];
      a[i * n + j] /= a[j * n + j];
    }
  }
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t k = 0; k < i; ++k) b[i] -= a[i * n + k] * b[k];
    b[i] /= a[i * n + i];
  }
  for (std::size_t i = n; i-- > 0;) {
    for (std::size_t k = i + 1; k < n; ++k) b[i] -= a[k * n + i] * b[k];
    b[i] /= a[i * n + i];
  }
  return b;
}

}  // namespace

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
    const double pull = terms[p].weight * values[p].slope * values[p].residual;
    normal[i * n + i] += curvature;
    normal[j * n + j] += curvature;
    normal[i * n + j] -= curvature;
    normal[j * n + i] -= curvature;
    right[i] -= pull;
    right[j] += pull;
  }
  double largest = 0.0;
  for (std::size_t i = 0; i < n; ++i) largest = std::max(largest, normal[i * n + i]);
  for (std::size_t i = 0; i < n; ++i) {
    // The floor keeps the matrix positive where an offset is loose (no slope on any of its pairs).
    normal[i * n + i] = normal[i * n + i] * (1.0 + damping) + 1e-14 * largest + 1e-300;
    normal[reference * n + i] = normal[i * n + reference] = 0.0;
  }
  normal[reference * n + reference] = 1.0;
  right[reference] = 0.0;
  return solve_positive(std::move(normal), std::move(right));
}

double sum_of_squares(std::span<const PairTerm> terms, std::span<const PairValue> values) {
  double sum = 0.0;
  for (std::size_t p = 0; p < terms.size(); ++p) {
    sum += terms[p].weight * values[p].residual * values[p].residual;
  }
  return sum;
}

}  // namespace charm::calibrate
