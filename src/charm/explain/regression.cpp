#include "charm/explain/regression.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "charm/base/check.h"
#include "charm/base/error.h"

namespace charm::explain {
namespace {

// Tolerance of collinearity: norm of a column's residual on the previous columns, relative to its
// norm.
constexpr double kCollinear = 1e-8;

double dot(std::span<const double> a, std::span<const double> b) {
  double sum = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

// Orthonormal columns Q and upper triangular R with X = Q R, built column by column.
class OrthogonalBasis {
 public:
  // Adds a column unless it is collinear with the others.
  bool add(std::vector<double> column) {
    const double length = std::sqrt(dot(column, column));
    std::vector<double> above(q_.size(), 0.0);
    // Reorthogonalised: a second pass removes the rounding error of the first (Giraud et al. 2005).
    for (int pass = 0; pass < 2; ++pass) {
      for (std::size_t k = 0; k < q_.size(); ++k) {
        const double part = dot(q_[k], column);
        above[k] += part;
        for (std::size_t i = 0; i < column.size(); ++i) column[i] -= part * q_[k][i];
      }
    }
    const double rest = std::sqrt(dot(column, column));
    if (!(rest > kCollinear * length)) return false;
    for (double& value : column) value /= rest;
    above.push_back(rest);
    q_.push_back(std::move(column));
    r_.push_back(std::move(above));
    return true;
  }

  std::size_t size() const { return q_.size(); }
  const std::vector<double>& column(std::size_t k) const { return q_[k]; }

  // x with R x = right.
  std::vector<double> solve(std::vector<double> right) const {
    for (std::size_t k = size(); k-- > 0;) {
      for (std::size_t j = k + 1; j < size(); ++j) right[k] -= r_[j][k] * right[j];
      right[k] /= r_[k][k];
    }
    return right;
  }

 private:
  std::vector<std::vector<double>> q_;  // [k][row]
  std::vector<std::vector<double>> r_;  // [k] column k of R, down to its diagonal
};

}  // namespace

double student_975(double degrees) {
  constexpr double kNearlyNormal = 1e7;
  if (degrees > kNearlyNormal) return 1.959963984540054;
  // P(|T| < t) = 2 / sqrt(pi) G((n + 1) / 2) / G(n / 2) times the integral of cos(a)^(n - 1) over
  // [0, atan(t / sqrt(n))]: Simpson's rule inside a bisection.
  const double log_scale = std::lgamma(0.5 * (degrees + 1.0)) - std::lgamma(0.5 * degrees);
  const double scale = 2.0 / std::sqrt(std::numbers::pi) * std::exp(log_scale);
  const auto coverage = [&](double t) {
    constexpr int kSteps = 400;
    const double end = std::atan(t / std::sqrt(degrees));
    const double step = end / kSteps;
    double sum = 0.0;
    for (int i = 0; i <= kSteps; ++i) {
      const double weight = i == 0 || i == kSteps ? 1.0 : (i % 2 == 1 ? 4.0 : 2.0);
      sum += weight * std::pow(std::cos(i * step), degrees - 1.0);
    }
    return scale * sum * step / 3.0;
  };
  double lo = 0.0;
  double hi = 13.0;  // 12.71 at one degree of freedom
  for (int step = 0; step < 60; ++step) {
    const double middle = 0.5 * (lo + hi);
    (coverage(middle) < 0.95 ? lo : hi) = middle;
  }
  return 0.5 * (lo + hi);
}

double Regression::error_of(std::span<const double> cluster_influence) const {
  return std::sqrt(correction * dot(cluster_influence, cluster_influence));
}

Regression clustered_regression(std::span<const Column> columns, std::span<const double> y,
                                std::span<const std::uint32_t> cluster_of_row,
                                std::size_t num_clusters) {
  const std::size_t n = y.size();
  CHARM_CHECK(cluster_of_row.size() == n, "{} clusters for {} rows", cluster_of_row.size(), n);
  Regression result;
  result.num_rows = n;
  OrthogonalBasis basis;
  basis.add(std::vector<double>(n, 1.0));
  for (std::size_t c = 0; c < columns.size(); ++c) {
    const std::vector<double>& values = columns[c].values;
    CHARM_CHECK(values.size() == n, "{} values for {} rows", values.size(), n);
    const bool varies = n > 0 && std::any_of(values.begin(), values.end(),
                                             [&](double v) { return v != values.front(); });
    if (varies && basis.add(values)) {
      result.kept.push_back(c);
    } else {
      result.dropped.push_back(
          {columns[c].name, varies ? "collinear with the previous features" : "constant"});
    }
  }
  std::vector<char> has_rows(num_clusters, 0);
  for (const std::uint32_t cluster : cluster_of_row) has_rows[cluster] = 1;
  for (const char one : has_rows) result.num_clusters += one != 0 ? 1 : 0;
  if (result.num_clusters < 2 || n <= basis.size()) {
    throw Error(ErrorKind::kInput, "{} rows of {} prompts are too few for {} coefficients", n,
                result.num_clusters, basis.size());
  }

  std::vector<double> projections;
  std::vector<double> residuals(y.begin(), y.end());
  for (std::size_t k = 0; k < basis.size(); ++k) {
    projections.push_back(dot(basis.column(k), y));
    for (std::size_t i = 0; i < n; ++i) residuals[i] -= projections[k] * basis.column(k)[i];
  }
  const double total = dot(y, y) - projections[0] * projections[0];
  result.r_squared = total > 0.0 ? 1.0 - dot(residuals, residuals) / total : 0.0;
  result.coefficients = basis.solve(projections);

  // Influence of cluster g: R^-1 Q_g' e_g.
  std::vector<std::vector<double>> scores(num_clusters, std::vector<double>(basis.size(), 0.0));
  for (std::size_t k = 0; k < basis.size(); ++k) {
    for (std::size_t i = 0; i < n; ++i)
      scores[cluster_of_row[i]][k] += basis.column(k)[i] * residuals[i];
  }
  result.influence.assign(basis.size(), std::vector<double>(num_clusters, 0.0));
  for (std::size_t g = 0; g < num_clusters; ++g) {
    const auto moved = basis.solve(scores[g]);
    for (std::size_t k = 0; k < basis.size(); ++k) result.influence[k][g] = moved[k];
  }
  const auto clusters = static_cast<double>(result.num_clusters);
  const auto rows = static_cast<double>(n);
  result.correction =
      clusters / (clusters - 1.0) * (rows - 1.0) / (rows - static_cast<double>(basis.size()));
  result.critical = student_975(clusters - 1.0);
  for (const auto& influence : result.influence)
    result.errors.push_back(result.error_of(influence));
  return result;
}

}  // namespace charm::explain
