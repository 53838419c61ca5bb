#include "charm/stats/cholesky.h"

#include <cmath>
#include <utility>

namespace charm::stats {

Cholesky::Cholesky(std::vector<double> matrix, std::size_t n) : n_(n), factor_(std::move(matrix)) {
  std::vector<double>& a = factor_;
  for (std::size_t j = 0; j < n; ++j) {
    for (std::size_t k = 0; k < j; ++k) a[j * n + j] -= a[j * n + k] * a[j * n + k];
    a[j * n + j] = std::sqrt(a[j * n + j]);
    for (std::size_t i = j + 1; i < n; ++i) {
      for (std::size_t k = 0; k < j; ++k) a[i * n + j] -= a[i * n + k] * a[j * n + k];
      a[i * n + j] /= a[j * n + j];
    }
  }
}

std::vector<double> Cholesky::solve(std::vector<double> right) const {
  const std::vector<double>& a = factor_;
  const std::size_t n = n_;
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t k = 0; k < i; ++k) right[i] -= a[i * n + k] * right[k];
    right[i] /= a[i * n + i];
  }
  for (std::size_t i = n; i-- > 0;) {
    for (std::size_t k = i + 1; k < n; ++k) right[i] -= a[k * n + i] * right[k];
    right[i] /= a[i * n + i];
  }
  return right;
}

std::vector<double> Cholesky::inverse() const {
  std::vector<double> result(n_ * n_);
  for (std::size_t column = 0; column < n_; ++column) {
    std::vector<double> unit(n_, 0.0);
    unit[column] = 1.0;
    const auto x = solve(std::move(unit));
    for (std::size_t row = 0; row < n_; ++row) result[row * n_ + column] = x[row];
  }
  return result;
}

}  // namespace charm::stats
