#include "charm/stats/comparison_fit.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "charm/base/check.h"
#include "charm/stats/cholesky.h"

namespace charm::stats {
namespace {

double logistic(double z) { return 1.0 / (1.0 + std::exp(-z)); }

// log(1 + e^z)
double log1p_exp(double z) { return std::max(z, 0.0) + std::log1p(std::exp(-std::abs(z))); }

// Loss of one row in its log odds z and the tie parameter t.
struct RowLoss {
  double loss = 0.0;
  double dz = 0.0, dt = 0.0;
  double dzz = 0.0, dzt = 0.0, dtt = 0.0;
};

RowLoss half_loss(double z, double outcome) {
  const double p = logistic(z);
  return {.loss = log1p_exp(z) - outcome * z, .dz = p - outcome, .dzz = p * (1.0 - p)};
}

RowLoss davidson_loss(double z, double log_nu, double outcome) {
  const double top = std::max(0.5 * std::abs(z), log_nu);
  const double a = std::exp(0.5 * z - top), b = std::exp(-0.5 * z - top),
               t = std::exp(log_nu - top);
  const double sum = a + b + t;
  const double tie = t / sum;
  const double lead = (a - b) / sum;  // P(a) - P(b)
  const bool is_tie = outcome == 0.5;
  const double taken = is_tie ? log_nu : (outcome - 0.5) * z;
  return {.loss = top + std::log(sum) - taken,
          .dz = 0.5 * lead - (outcome - 0.5),
          .dt = tie - (is_tie ? 1.0 : 0.0),
          .dzz = 0.25 * (1.0 - tie) - 0.25 * lead * lead,
          .dzt = -0.5 * tie * lead,
          .dtt = tie * (1.0 - tie)};
}

RowLoss rao_kupper_loss(double z, double eta, double outcome) {
  const double lower = logistic(z - eta), upper = logistic(z + eta);
  const double at_lower = lower * (1.0 - lower), at_upper = upper * (1.0 - upper);
  if (outcome == 1.0) {  // -log sigmoid(z - eta)
    return {.loss = log1p_exp(eta - z),
            .dz = lower - 1.0,
            .dt = 1.0 - lower,
            .dzz = at_lower,
            .dzt = -at_lower,
            .dtt = at_lower};
  }
  if (outcome == 0.0) {  // -log sigmoid(-z - eta)
    return {.loss = log1p_exp(z + eta),
            .dz = upper,
            .dt = upper,
            .dzz = at_upper,
            .dzt = at_upper,
            .dtt = at_upper};
  }
  const double decay = std::exp(-2.0 * eta);
  const double room = -std::expm1(-2.0 * eta);  // 1 - e^(-2 eta)
  return {.loss = -std::log(room) - eta - z + log1p_exp(z - eta) + log1p_exp(z + eta),
          .dz = lower + upper - 1.0,
          .dt = -2.0 / room + 1.0 - lower + upper,
          .dzz = at_lower + at_upper,
          .dzt = at_upper - at_lower,
          .dtt = at_lower + at_upper + 4.0 * decay / (room * room)};
}

RowLoss row_loss(TieModel ties, double z, double tie_parameter, double outcome) {
  switch (ties) {
    case TieModel::kHalf:
      return half_loss(z, outcome);
    case TieModel::kDavidson:
      return davidson_loss(z, tie_parameter, outcome);
    case TieModel::kRaoKupper:
      return rao_kupper_loss(z, tie_parameter, outcome);
  }
  return {};
}

// The sparse rows with the tie parameter as a further entry. Entries that count nowhere go to a
// last column, which is dropped at the end.
class Rows {
 public:
  Rows(const ComparisonDesign& design, TieModel ties)
      : design_(design),
        ties_(ties),
        has_tie_parameter_(ties != TieModel::kHalf),
        size_(design.num_parameters + (has_tie_parameter_ ? 1 : 0)),
        padded_(size_ + 1),
        columns_(design.width + 1),
        first_(design.width + 1) {}

  std::size_t size() const { return size_; }
  std::size_t padded() const { return padded_; }
  std::size_t num_entries() const { return design_.width + (has_tie_parameter_ ? 1 : 0); }
  const std::vector<std::size_t>& columns() const { return columns_; }

  RowLoss load(std::size_t row, std::span<const double> parameters) {
    const std::size_t width = design_.width;
    const std::uint32_t* columns = design_.columns.data() + row * width;
    values_ = design_.values.data() + row * width;
    double z = 0.0;
    for (std::size_t i = 0; i < width; ++i) {
      columns_[i] = columns[i] == design_.num_parameters ? size_ : columns[i];
      if (columns_[i] != size_) z += values_[i] * parameters[columns[i]];
    }
    columns_[width] = design_.num_parameters;  // the tie parameter
    const double tie = has_tie_parameter_ ? parameters[design_.num_parameters] : 0.0;
    return row_loss(ties_, z, tie, design_.outcomes[row]);
  }
  // Gradient of the loaded row's loss, by entry.
  std::span<const double> gradient(const RowLoss& loss) {
    for (std::size_t i = 0; i < design_.width; ++i) first_[i] = loss.dz * values_[i];
    first_[design_.width] = loss.dt;
    return std::span(first_).first(num_entries());
  }
  // Adds weight * the loaded row's second derivatives; lower triangle and diagonal are complete.
  void add_hessian(const RowLoss& loss, double weight, std::vector<double>& hessian) {
    const std::size_t width = design_.width;
    for (std::size_t i = 0; i < width; ++i) {
      const double factor = weight * loss.dzz * values_[i];
      double* line = hessian.data() + columns_[i] * padded_;
      for (std::size_t j = 0; j < width; ++j) line[columns_[j]] += factor * values_[j];
    }
    if (!has_tie_parameter_) return;
    double* line = hessian.data() + columns_[width] * padded_;
    for (std::size_t i = 0; i < width; ++i) {
      const double mixed = weight * loss.dzt * values_[i];
      line[columns_[i]] += mixed;
      hessian[columns_[i] * padded_ + columns_[width]] += mixed;
    }
    line[columns_[width]] += weight * loss.dtt;
  }

 private:
  const ComparisonDesign& design_;
  TieModel ties_;
  bool has_tie_parameter_;
  std::size_t size_;
  std::size_t padded_;
  const double* values_ = nullptr;
  std::vector<std::size_t> columns_;
  std::vector<double> first_;
};

// Without the dropped last column.
std::vector<double> without_padding(const std::vector<double>& matrix, std::size_t size) {
  std::vector<double> inner(size * size);
  for (std::size_t i = 0; i < size; ++i) {
    std::copy_n(matrix.begin() + static_cast<std::ptrdiff_t>(i * (size + 1)), size,
                inner.begin() + static_cast<std::ptrdiff_t>(i * size));
  }
  return inner;
}

LossValue evaluate_loss(Rows& rows, const ComparisonDesign& design, std::span<const double> weights,
                        std::span<const double> parameters) {
  LossValue value;
  value.gradient.assign(rows.padded(), 0.0);
  std::vector<double> hessian(rows.padded() * rows.padded(), 0.0);
  for (std::size_t row = 0; row < design.num_rows(); ++row) {
    const double weight = weights.empty() ? 1.0 : weights[row];
    if (weight == 0.0) continue;
    const RowLoss loss = rows.load(row, parameters);
    value.loss += weight * loss.loss;
    const auto gradient = rows.gradient(loss);
    for (std::size_t i = 0; i < gradient.size(); ++i)
      value.gradient[rows.columns()[i]] += weight * gradient[i];
    rows.add_hessian(loss, weight, hessian);
  }
  value.gradient.resize(rows.size());
  value.hessian = without_padding(hessian, rows.size());
  return value;
}

bool is_finite(std::span<const double> values) {
  return std::all_of(values.begin(), values.end(), [](double v) { return std::isfinite(v); });
}

// A B A' of symmetric matrices, row-major.
std::vector<double> sandwich(const std::vector<double>& bread, const std::vector<double>& meat,
                             std::size_t n) {
  const auto product = [n](const std::vector<double>& one, const std::vector<double>& other) {
    std::vector<double> result(n * n, 0.0);
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t k = 0; k < n; ++k) {
        for (std::size_t j = 0; j < n; ++j) result[i * n + j] += one[i * n + k] * other[k * n + j];
      }
    }
    return result;
  };
  return product(product(bread, meat), bread);
}

// Rows ordered by cluster.
std::vector<std::size_t> rows_by_cluster(std::span<const std::uint32_t> cluster_of_row) {
  std::vector<std::size_t> order(cluster_of_row.size());
  std::iota(order.begin(), order.end(), 0U);
  std::stable_sort(order.begin(), order.end(), [&](std::size_t one, std::size_t other) {
    return cluster_of_row[one] < cluster_of_row[other];
  });
  return order;
}

}  // namespace

std::string_view tie_model_name(TieModel model) {
  switch (model) {
    case TieModel::kHalf:
      return "half";
    case TieModel::kDavidson:
      return "davidson";
    case TieModel::kRaoKupper:
      return "rao-kupper";
  }
  return "";
}

ComparisonFit fit_comparisons(const ComparisonDesign& design, std::span<const double> weights,
                              const ComparisonFitOptions& options) {
  CHARM_CHECK(weights.empty() || weights.size() == design.num_rows(), "{} weights of {} rows",
              weights.size(), design.num_rows());
  constexpr int kMaxSteps = 100;
  constexpr int kMaxHalvings = 50;
  Rows rows(design, options.ties);
  const auto evaluate = [&](std::span<const double> parameters) {
    LossValue value = evaluate_loss(rows, design, weights, parameters);
    const double likelihood = value.loss;
    if (options.penalty) options.penalty(parameters, value);
    return std::pair(std::move(value), likelihood);
  };
  ComparisonFit fit;
  fit.parameters = options.start;
  if (fit.parameters.empty()) {
    fit.parameters.assign(rows.size(), 0.0);
    if (options.ties == TieModel::kRaoKupper) fit.parameters.back() = 0.5;
  }
  auto [value, likelihood] = evaluate(fit.parameters);
  for (int step = 0; step < kMaxSteps; ++step) {
    const auto move = Cholesky(value.hessian, rows.size()).solve(value.gradient);
    const double decrement =
        std::inner_product(move.begin(), move.end(), value.gradient.begin(), 0.0);
    if (!is_finite(move) || !std::isfinite(decrement)) break;
    // Steps that gain less than the loss is rounded by would be halved to nothing.
    constexpr double kRounding = 1e-14;
    const bool is_last = decrement <= std::max(options.tolerance, kRounding * std::abs(value.loss));
    double share = 1.0;
    bool is_moved = false;
    for (int halving = 0; halving < kMaxHalvings && !is_moved; ++halving, share *= 0.5) {
      std::vector<double> trial = fit.parameters;
      for (std::size_t i = 0; i < trial.size(); ++i) trial[i] -= share * move[i];
      if (options.ties == TieModel::kRaoKupper && trial.back() <= 0.0) continue;
      auto [trial_value, trial_likelihood] = evaluate(trial);
      // Near the optimum only rounding error is left to compare.
      if (!(trial_value.loss <= value.loss) && !is_last) continue;
      fit.parameters = std::move(trial);
      value = std::move(trial_value);
      likelihood = trial_likelihood;
      is_moved = true;
    }
    fit.is_converged = is_last;
    if (is_last || !is_moved) break;
  }
  fit.log_likelihood = -likelihood;
  fit.at = std::move(value);
  return fit;
}

ExpectedOutcome expected_outcome(const ComparisonDesign& design, TieModel ties, std::size_t row,
                                 std::span<const double> parameters) {
  CHARM_CHECK(ties != TieModel::kRaoKupper, "Rao and Kupper's model has other derivatives");
  double z = 0.0;
  for (std::size_t i = row * design.width; i < (row + 1) * design.width; ++i) {
    if (design.columns[i] != design.num_parameters)
      z += design.values[i] * parameters[design.columns[i]];
  }
  // The gradient of a tie's loss is the expected outcome - 1/2, in both models.
  const RowLoss loss = row_loss(ties, z, ties == TieModel::kHalf ? 0.0 : parameters.back(), 0.5);
  return {.value = 0.5 + loss.dz, .dz = loss.dzz, .dt = loss.dzt};
}

std::vector<double> clustered_covariance(const ComparisonDesign& design, TieModel ties,
                                         const ComparisonFit& fit,
                                         std::span<const std::uint32_t> cluster_of_row,
                                         std::size_t num_clusters, std::span<const double> extra) {
  Rows rows(design, ties);
  const std::size_t n = rows.size();
  std::vector<double> meat(rows.padded() * rows.padded(), 0.0);
  std::vector<double> sum(rows.padded(), 0.0);
  std::vector<char> is_touched(rows.padded(), 0);
  std::vector<std::size_t> touched;
  const auto finish_cluster = [&] {
    for (const std::size_t i : touched) {
      for (const std::size_t j : touched) meat[i * rows.padded() + j] += sum[i] * sum[j];
    }
    for (const std::size_t i : touched) {
      sum[i] = 0.0;
      is_touched[i] = 0;
    }
    touched.clear();
  };
  const std::vector<std::size_t> order = rows_by_cluster(cluster_of_row);
  for (std::size_t k = 0; k < order.size(); ++k) {
    if (k > 0 && cluster_of_row[order[k]] != cluster_of_row[order[k - 1]]) finish_cluster();
    const auto gradient = rows.gradient(rows.load(order[k], fit.parameters));
    for (std::size_t i = 0; i < gradient.size(); ++i) {
      const std::size_t column = rows.columns()[i];
      sum[column] += gradient[i];
      if (is_touched[column] == 0) touched.push_back(column);
      is_touched[column] = 1;
    }
  }
  finish_cluster();
  const auto clusters = static_cast<double>(num_clusters);
  const auto votes = static_cast<double>(design.num_rows());
  const double correction = clusters / std::max(clusters - 1.0, 1.0) * (votes - 1.0) /
                            std::max(votes - static_cast<double>(n), 1.0);
  std::vector<double> inner = without_padding(meat, n);
  for (double& cell : inner) cell *= correction;
  for (std::size_t i = 0; i < extra.size(); ++i) inner[i] += extra[i];
  return sandwich(model_covariance(fit), inner, n);
}

std::vector<double> model_covariance(const ComparisonFit& fit) {
  return Cholesky(fit.at.hessian, fit.parameters.size()).inverse();
}

}  // namespace charm::stats
