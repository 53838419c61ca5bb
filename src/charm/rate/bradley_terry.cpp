#include "charm/rate/bradley_terry.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "charm/base/check.h"
#include "charm/base/error.h"
#include "charm/stats/cholesky.h"

namespace charm::rate {
namespace {

double sigmoid(double z) { return 1.0 / (1.0 + std::exp(-z)); }

// log(1 + e^z)
double softplus(double z) { return std::max(z, 0.0) + std::log1p(std::exp(-std::abs(z))); }

// Ratings, then coefficients.
class Model {
 public:
  Model(const ComparisonTable& table, std::span<const double> weights)
      : table_(table), weights_(weights), size_(table.models.size() + table.num_features) {}

  std::size_t size() const { return size_; }
  double weight(std::size_t row) const { return weights_.empty() ? 1.0 : weights_[row]; }

  double logit(std::size_t row, std::span<const double> parameters) const {
    const Comparison& comparison = table_.rows[row];
    double z = parameters[comparison.a] - parameters[comparison.b];
    const auto x = table_.features_of(row);
    for (std::size_t f = 0; f < x.size(); ++f) z += x[f] * parameters[table_.models.size() + f];
    return z;
  }

  // matrix += value * x x' of the row, both triangles.
  void add_outer(std::size_t row, double value, std::vector<double>& matrix) const {
    const Comparison& comparison = table_.rows[row];
    const auto add = [&](std::size_t i, std::size_t j, double v) { matrix[i * size_ + j] += v; };
    add(comparison.a, comparison.a, value);
    add(comparison.b, comparison.b, value);
    add(comparison.a, comparison.b, -value);
    add(comparison.b, comparison.a, -value);
    const auto x = table_.features_of(row);
    for (std::size_t f = 0; f < x.size(); ++f) {
      const std::size_t i = table_.models.size() + f;
      for (const auto& [model, sign] :
           {std::pair{comparison.a, 1.0}, std::pair{comparison.b, -1.0}}) {
        add(i, model, sign * value * x[f]);
        add(model, i, sign * value * x[f]);
      }
      for (std::size_t g = 0; g < x.size(); ++g) {
        add(i, table_.models.size() + g, value * x[f] * x[g]);
      }
    }
  }

  void add_gradient(std::size_t row, double value, std::vector<double>& gradient) const {
    const Comparison& comparison = table_.rows[row];
    gradient[comparison.a] += value;
    gradient[comparison.b] -= value;
    const auto x = table_.features_of(row);
    for (std::size_t f = 0; f < x.size(); ++f) {
      gradient[table_.models.size() + f] += value * x[f];
    }
  }

  double penalty_of(std::size_t parameter, const Ridge& ridge) const {
    return parameter < table_.models.size() ? ridge.ratings : ridge.coefficients;
  }

  double loss(std::span<const double> parameters, const Ridge& ridge) const {
    double loss = 0.0;
    for (std::size_t row = 0; row < table_.rows.size(); ++row) {
      const double z = logit(row, parameters);
      loss += weight(row) * table_.rows[row].count * (softplus(z) - table_.rows[row].outcome * z);
    }
    for (std::size_t i = 0; i < size_; ++i) {
      loss += 0.5 * penalty_of(i, ridge) * parameters[i] * parameters[i];
    }
    return loss;
  }

 private:
  const ComparisonTable& table_;
  std::span<const double> weights_;
  std::size_t size_;
};

// One Newton step from `parameters`: -(H + ridge)^-1 (g + ridge parameters).
std::vector<double> newton_step(const ComparisonTable& table, const Model& model,
                                std::span<const double> parameters, const Ridge& ridge) {
  const std::size_t n = model.size();
  std::vector<double> hessian(n * n, 0.0);
  std::vector<double> gradient(n, 0.0);
  for (std::size_t row = 0; row < table.rows.size(); ++row) {
    const double p = sigmoid(model.logit(row, parameters));
    const double weight = model.weight(row) * table.rows[row].count;
    if (weight == 0.0) continue;
    model.add_outer(row, weight * p * (1.0 - p), hessian);
    model.add_gradient(row, weight * (table.rows[row].outcome - p), gradient);
  }
  double trace = 0.0;
  for (std::size_t i = 0; i < n; ++i) {
    const double penalty = model.penalty_of(i, ridge);
    hessian[i * n + i] += penalty;
    gradient[i] -= penalty * parameters[i];
    trace += hessian[i * n + i];
  }
  // Without a ridge the ratings are identified only up to a constant: a penalty on their sum alone
  // holds them, and no step moves along it.
  const std::size_t num_models = table.models.size();
  const double sum_penalty =
      ridge.ratings > 0.0 ? 0.0 : trace / static_cast<double>(n * num_models);
  for (std::size_t i = 0; i < num_models; ++i) {
    for (std::size_t j = 0; j < num_models; ++j) hessian[i * n + j] += sum_penalty;
  }
  // Keeps the Hessian invertible with constant columns (a feature that is always 0).
  for (std::size_t i = 0; i < n; ++i) hessian[i * n + i] += 1e-14 * trace + 1e-300;
  return stats::Cholesky(std::move(hessian), n).solve(std::move(gradient));
}

}  // namespace

BradleyTerryFit fit_bradley_terry(const ComparisonTable& table, std::span<const double> weights,
                                  const Ridge& ridge) {
  CHARM_CHECK(weights.empty() || weights.size() == table.rows.size(), "{} weights of {} rows",
              weights.size(), table.rows.size());
  constexpr int kMaxSteps = 200;
  constexpr double kTolerance = 1e-10;
  const Model model(table, weights);
  std::vector<double> parameters(model.size(), 0.0);
  double loss = model.loss(parameters, ridge);
  bool is_converged = false;
  for (int step = 0; step < kMaxSteps && !is_converged; ++step) {
    const auto move = newton_step(table, model, parameters, ridge);
    double largest = 0.0;
    for (const double m : move) largest = std::max(largest, std::abs(m));
    if (!std::isfinite(largest)) break;
    // The loss is convex: halve the step until it decreases, unless only rounding error remains.
    double share = 1.0;
    for (int halving = 0; halving < 60; ++halving, share *= 0.5) {
      std::vector<double> trial = parameters;
      for (std::size_t i = 0; i < trial.size(); ++i) trial[i] += share * move[i];
      const double trial_loss = model.loss(trial, ridge);
      if (trial_loss > loss && largest > 1e-6) continue;
      parameters = std::move(trial);
      loss = trial_loss;
      break;
    }
    is_converged = largest <= kTolerance;
  }
  if (!is_converged) {
    throw Error(ErrorKind::kInput,
                "the Bradley-Terry fit did not converge: the votes determine no finite ratings");
  }
  const auto num_models = static_cast<std::ptrdiff_t>(table.models.size());
  return {.ratings = {parameters.begin(), parameters.begin() + num_models},
          .coefficients = {parameters.begin() + num_models, parameters.end()}};
}

std::vector<stats::ComparisonEdge> comparison_edges(const ComparisonTable& table) {
  std::vector<stats::ComparisonEdge> edges;
  for (const Comparison& row : table.rows) {
    if (row.count > 0.0) edges.push_back({.a = row.a, .b = row.b, .outcome = row.outcome});
  }
  return edges;
}

std::vector<double> sandwich_errors(const ComparisonTable& table, std::span<const double> weights,
                                    const BradleyTerryFit& fit, const SandwichOptions& options) {
  const Model model(table, weights);
  const std::size_t n = model.size();
  const std::size_t num_models = table.models.size();
  std::vector<double> parameters = fit.ratings;
  parameters.insert(parameters.end(), fit.coefficients.begin(), fit.coefficients.end());
  std::vector<double> hessian(n * n, 0.0);
  std::vector<double> squares(n * n, 0.0);
  for (std::size_t row = 0; row < table.rows.size(); ++row) {
    const Comparison& comparison = table.rows[row];
    const double p = sigmoid(model.logit(row, parameters));
    const double weight = model.weight(row);
    const double residual = weight * (comparison.outcome - p);
    model.add_outer(row, weight * comparison.count * p * (1.0 - p), hessian);
    model.add_outer(row, comparison.count * residual * residual, squares);
  }
  for (std::size_t i = 0; i < n; ++i) {
    hessian[i * n + i] += options.hessian_ridge + model.penalty_of(i, options.penalty);
  }
  for (std::size_t f = 0; f < table.num_features; ++f) {
    for (std::size_t g = 0; g < table.num_features; ++g) {
      squares[(num_models + f) * n + num_models + g] -=
          options.correction * fit.coefficients[f] * fit.coefficients[g];
    }
  }
  const auto inverse = stats::Cholesky(std::move(hessian), n).inverse();
  std::vector<double> errors(n, 0.0);
  for (std::size_t i = 0; i < n; ++i) {
    const std::span row(inverse.data() + i * n, n);
    double variance = 0.0;
    for (std::size_t j = 0; j < n; ++j) {
      double sum = 0.0;
      for (std::size_t k = 0; k < n; ++k) sum += squares[j * n + k] * row[k];
      variance += row[j] * sum;
    }
    errors[i] = std::sqrt(std::max(variance, 0.0));
  }
  return errors;
}

}  // namespace charm::rate
