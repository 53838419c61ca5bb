#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace charm::stats {

/// Factor L of a symmetric positive definite matrix A = L L', for systems of some hundred unknowns.
/// Immutable once built.
class Cholesky {
 public:
  /// `matrix` row-major, n x n; only its lower triangle is read. A matrix that is not positive
  /// definite gives results that are not finite.
  Cholesky(std::vector<double> matrix, std::size_t n);

  /// x with A x = right.
  std::vector<double> solve(std::vector<double> right) const;

  /// A^-1, row-major.
  std::vector<double> inverse() const;

 private:
  std::size_t n_;
  std::vector<double> factor_;
};

}  // namespace charm::stats
