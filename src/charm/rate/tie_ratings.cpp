#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "charm/base/error.h"
#include "charm/base/random.h"
#include "charm/rate/ratings.h"
#include "charm/stats/bootstrap.h"
#include "charm/stats/comparison_fit.h"
#include "charm/stats/descriptive.h"
#include "charm/stats/interval.h"

namespace charm::rate {
namespace {

const double kLogOddsPerElo = std::log(10.0) / 400.0;

// Columns: models, style features, the order effect.
stats::ComparisonDesign tie_design(const ComparisonTable& table, bool has_order_effect) {
  const std::size_t num_models = table.models.size();
  stats::ComparisonDesign design;
  design.num_parameters = num_models + table.num_features + (has_order_effect ? 1 : 0);
  design.width = 2 + table.num_features + (has_order_effect ? 1 : 0);
  const auto add = [&](std::size_t column, double value) {
    design.columns.push_back(static_cast<std::uint32_t>(column));
    design.values.push_back(value);
  };
  for (std::size_t row = 0; row < table.rows.size(); ++row) {
    add(table.rows[row].a, 1.0);
    add(table.rows[row].b, -1.0);
    const auto x = table.features_of(row);
    for (std::size_t f = 0; f < x.size(); ++f) add(num_models + f, x[f]);
    if (has_order_effect) add(num_models + table.num_features, 1.0);
    design.outcomes.push_back(table.rows[row].outcome);
  }
  return design;
}

// A ridge on the ratings' deviations from their mean; the mean itself, which the likelihood does
// not determine, is held at 0. FastChat's style control has a ridge on the coefficients too.
stats::PenaltyFn tie_penalty(const ComparisonTable& table, const FitOptions& options) {
  const std::size_t n = table.models.size();
  double ratings = 0.0;
  if (options.prior_sd_elo) {
    const double sd = *options.prior_sd_elo * kLogOddsPerElo;
    ratings = 1.0 / (sd * sd);
  }
  const double coefficients = options.style == StyleControl::kFastChat ? 0.5 : 0.0;
  return [=, num_features = table.num_features](std::span<const double> parameters,
                                                stats::LossValue& value) {
    const std::size_t size = parameters.size();
    double sum = 0.0;
    for (std::size_t i = 0; i < n; ++i) sum += parameters[i];
    value.loss += 0.5 * sum * sum;
    for (std::size_t i = 0; i < n + num_features; ++i) {
      const double ridge = i < n ? ratings : coefficients;
      value.loss += 0.5 * ridge * parameters[i] * parameters[i];
      value.gradient[i] += ridge * parameters[i] + (i < n ? sum : 0.0);
      value.hessian[i * size + i] += ridge;
    }
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = 0; j < n; ++j) value.hessian[i * size + j] += 1.0;
    }
  };
}

void check_ties(const ComparisonTable& table, const FitOptions& options) {
  if (options.style == StyleControl::kArenaRank) {
    throw Error(ErrorKind::kUsage,
                "--style arena-rank has weights and a ridge of its own; it excludes --ties {}, "
                "--order-effect and --prior-sd",
                stats::tie_model_name(options.ties));
  }
  const bool has_ties =
      std::ranges::any_of(table.rows, [](const Comparison& row) { return row.outcome == 0.5; });
  if (options.ties == stats::TieModel::kHalf || has_ties) return;
  throw Error(ErrorKind::kInput,
              "--ties {}: the battles have no ties, so its parameter has no "
              "finite estimate; use --ties half",
              stats::tie_model_name(options.ties));
}

// [replicate] parameters; empty where a replicate has no finite solution.
std::vector<std::vector<double>> resampled_fits(const stats::ComparisonDesign& design,
                                                const ComparisonTable& table,
                                                const stats::ComparisonFitOptions& fitting,
                                                const FitOptions& options,
                                                const ProgressFn& progress) {
  std::vector<std::vector<double>> replicates(static_cast<std::size_t>(options.bootstrap));
  ProgressCounter done(progress, "bootstrap", options.bootstrap, "resamples");
  stats::bootstrap(
      replicates.size(), options.seed, "rate-ties", options.num_threads,
      [&](std::size_t index, RandomStream& stream) {
        std::vector<double> weights(table.rows.size(), 0.0);
        for (std::size_t i = 0; i < weights.size(); ++i) weights[stream.below(weights.size())] += 1;
        bool is_finite = options.prior_sd_elo.has_value();
        if (!is_finite) {
          ComparisonTable drawn{.models = table.models, .rows = table.rows, .features = {}};
          for (std::size_t i = 0; i < weights.size(); ++i) drawn.rows[i].count = weights[i];
          is_finite =
              stats::win_components(drawn.models.size(), comparison_edges(drawn)).size() == 1;
        }
        if (is_finite) {
          stats::ComparisonFit fit = fit_comparisons(design, weights, fitting);
          if (fit.is_converged) replicates[index] = std::move(fit.parameters);
        }
        done.advance();
      });
  return replicates;
}

// Interval of a parameter, of a transformed one its transform.
struct ParameterError {
  double se = 0.0;
  stats::Interval ci95;
};

std::vector<ParameterError> parameter_errors(const stats::ComparisonDesign& design,
                                             const ComparisonTable& table,
                                             const stats::ComparisonFit& fit,
                                             const stats::ComparisonFitOptions& fitting,
                                             const FitOptions& options, const ProgressFn& progress,
                                             std::vector<std::string>& warnings) {
  std::vector<ParameterError> errors(fit.parameters.size());
  if (options.bootstrap == 0) {
    std::vector<std::uint32_t> battles(table.rows.size());
    for (std::size_t i = 0; i < battles.size(); ++i) battles[i] = static_cast<std::uint32_t>(i);
    const auto covariance =
        stats::clustered_covariance(design, options.ties, fit, battles, battles.size());
    for (std::size_t i = 0; i < errors.size(); ++i) {
      errors[i].se = std::sqrt(std::max(covariance[i * errors.size() + i], 0.0));
      const double half = stats::kNormal975 * errors[i].se;
      errors[i].ci95 = {.lo = fit.parameters[i] - half, .hi = fit.parameters[i] + half};
    }
    return errors;
  }
  const auto replicates = resampled_fits(design, table, fitting, options, progress);
  std::size_t num_failed = 0;
  for (std::size_t i = 0; i < errors.size(); ++i) {
    std::vector<double> values;
    for (const auto& replicate : replicates) {
      if (!replicate.empty()) values.push_back(replicate[i]);
    }
    num_failed = replicates.size() - values.size();
    if (values.empty()) {
      throw Error(ErrorKind::kInput,
                  "every bootstrap replicate leaves some rating infinite; give --prior-sd, or use "
                  "--bootstrap 0 for sandwich intervals");
    }
    errors[i].se = stats::standard_deviation(values);
    errors[i].ci95 = stats::percentile_interval(std::move(values));
  }
  if (num_failed > 0) {
    warnings.push_back(fmt::format(
        "{} of {} bootstrap replicates leave a rating infinite and are dropped; intervals are too "
        "narrow for models with few battles",
        num_failed, replicates.size()));
  }
  return errors;
}

}  // namespace

bool needs_tie_ratings(const FitOptions& options) {
  return options.ties != stats::TieModel::kHalf || options.order_effect ||
         options.prior_sd_elo.has_value();
}

Ratings rate_with_ties(const ComparisonTable& table, const FitOptions& options,
                       const ProgressFn& progress) {
  check_ties(table, options);
  if (!options.prior_sd_elo) check_connected(table);
  const stats::ComparisonDesign design = tie_design(table, options.order_effect);
  const stats::ComparisonFitOptions fitting{
      .ties = options.ties, .penalty = tie_penalty(table, options), .start = {}};
  const stats::ComparisonFit fit = fit_comparisons(design, {}, fitting);
  if (!fit.is_converged) {
    throw Error(ErrorKind::kInput,
                "the fit did not converge: the votes determine no finite ratings; give --prior-sd");
  }
  Ratings result;
  const auto errors =
      parameter_errors(design, table, fit, fitting, options, progress, result.warnings);
  const std::size_t num_models = table.models.size();
  put_models(table, std::span(fit.parameters).first(num_models), options, result);
  for (ModelRating& model : result.models) {
    const auto place = std::ranges::find(table.models, model.model) - table.models.begin();
    const ParameterError& error = errors[static_cast<std::size_t>(place)];
    const double shift =
        model.rating_elo - fit.parameters[static_cast<std::size_t>(place)] / kLogOddsPerElo;
    model.rating_se = error.se / kLogOddsPerElo;
    model.rating_ci95 = {.lo = shift + error.ci95.lo / kLogOddsPerElo,
                         .hi = shift + error.ci95.hi / kLogOddsPerElo};
  }
  for (std::size_t f = 0; f < table.num_features; ++f) {
    result.styles.push_back({.feature = std::string(kStyleNames[f]),
                             .value = fit.parameters[num_models + f],
                             .ci95 = errors[num_models + f].ci95});
  }
  if (options.order_effect) {
    const std::size_t place = num_models + table.num_features;
    result.order_effect = StyleCoefficient{
        .feature = "order", .value = fit.parameters[place], .ci95 = errors[place].ci95};
  }
  if (options.ties == stats::TieModel::kHalf) return result;
  StyleCoefficient tie{
      .feature = "tie", .value = fit.parameters.back(), .ci95 = errors.back().ci95};
  if (options.ties == stats::TieModel::kDavidson) {  // log nu -> nu
    tie.value = std::exp(tie.value);
    tie.ci95 = {.lo = std::exp(tie.ci95.lo), .hi = std::exp(tie.ci95.hi)};
  }
  result.tie_parameter = tie;
  return result;
}

}  // namespace charm::rate
