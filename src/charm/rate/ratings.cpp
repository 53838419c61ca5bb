#include "charm/rate/ratings.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "charm/base/error.h"
#include "charm/base/random.h"
#include "charm/base/strings.h"
#include "charm/stats/bootstrap.h"
#include "charm/stats/descriptive.h"
#include "charm/stats/interval.h"

namespace charm::rate {
namespace {

constexpr double kMeanElo = 1000.0;
const double kEloPerLogOdds = 400.0 / std::log(10.0);

// arena-rank 0.1.1, BradleyTerry and ContextualBradleyTerry: ridge that makes the Hessian
// invertible.
constexpr double kHessianRidge = 1e-5;
// arena-rank 0.1.1: battle counts of pairs are clamped to at least this before inverse weighting.
constexpr double kMinPairCount = 50.0;

double num_battles(const ComparisonTable& table) {
  double total = 0.0;
  for (const Comparison& row : table.rows) total += row.count;
  return total;
}

std::string names_of(const ComparisonTable& table, const std::vector<std::size_t>& models) {
  constexpr std::size_t kShown = 5;
  std::vector<std::string> names;
  for (std::size_t i = 0; i < std::min(kShown, models.size()); ++i) {
    names.push_back("'" + table.models[models[i]] + "'");
  }
  std::string text = fmt::format("{}", fmt::join(names, ", "));
  if (models.size() > kShown) text += fmt::format(" and {} more", models.size() - kShown);
  return text;
}

// arena-rank's weights: pairs with at least 50 battles have equal total weight; mean 1.
std::vector<double> pair_weights(const ComparisonTable& table) {
  std::map<std::pair<std::uint32_t, std::uint32_t>, double> counts;
  const auto key = [](const Comparison& row) { return std::minmax(row.a, row.b); };
  for (const Comparison& row : table.rows) counts[key(row)] += row.count;
  std::vector<double> weights;
  double sum = 0.0;
  for (const Comparison& row : table.rows) {
    weights.push_back(1.0 / std::max(counts[key(row)], kMinPairCount));
    sum += row.count * weights.back();
  }
  for (double& weight : weights) weight *= num_battles(table) / sum;
  return weights;
}

// Weights and regularisation of the three definitions.
struct Estimator {
  std::vector<double> weights;  // [row], empty: 1
  Ridge ridge;
  SandwichOptions sandwich;
};

Estimator estimator_of(const ComparisonTable& table, StyleControl style) {
  const double n = num_battles(table);
  Estimator estimator;
  switch (style) {
    case StyleControl::kNone:
      estimator.sandwich.hessian_ridge = kHessianRidge * n;
      break;
    case StyleControl::kFastChat: {
      // fit_contextual_bt: 0.5 / 2 * squares of all parameters, ratings in units of 400 points.
      const double log_ten = std::log(10.0);
      estimator.ridge = {.ratings = 0.5 / (log_ten * log_ten), .coefficients = 0.5};
      estimator.sandwich.penalty = estimator.ridge;
      break;
    }
    case StyleControl::kArenaRank:
      // The mean loss has a ridge of 1; the sandwich omits it from H and subtracts it from G.
      estimator.weights = pair_weights(table);
      estimator.ridge = {.ratings = 0.0, .coefficients = n};
      estimator.sandwich.hessian_ridge = kHessianRidge * n;
      estimator.sandwich.correction = 1.0;
      break;
  }
  return estimator;
}

// [replicate] parameters; empty where the resampled votes leave a rating infinite.
std::vector<std::vector<double>> resample(const ComparisonTable& table, const Estimator& estimator,
                                          const FitOptions& options, const ProgressFn& progress) {
  std::vector<std::uint32_t> row_of_battle;
  for (std::size_t row = 0; row < table.rows.size(); ++row) {
    row_of_battle.insert(row_of_battle.end(),
                         static_cast<std::size_t>(std::llround(table.rows[row].count)),
                         static_cast<std::uint32_t>(row));
  }
  std::vector<std::vector<double>> replicates(static_cast<std::size_t>(options.bootstrap));
  ProgressCounter done(progress, "bootstrap", options.bootstrap, "resamples");
  stats::bootstrap(
      replicates.size(), options.seed, "rate", options.num_threads,
      [&](std::size_t index, RandomStream& stream) {
        ComparisonTable drawn = table;
        for (Comparison& row : drawn.rows) row.count = 0.0;
        for (std::size_t i = 0; i < row_of_battle.size(); ++i) {
          drawn.rows[row_of_battle[stream.below(row_of_battle.size())]].count += 1.0;
        }
        if (stats::win_components(drawn.models.size(), comparison_edges(drawn)).size() == 1) {
          auto fit = fit_bradley_terry(drawn, estimator.weights, estimator.ridge);
          replicates[index] = std::move(fit.ratings);
          replicates[index].insert(replicates[index].end(), fit.coefficients.begin(),
                                   fit.coefficients.end());
        }
        done.advance();
      });
  return replicates;
}

struct Uncertainty {
  std::vector<double> se;             // [model, then feature] log odds
  std::vector<stats::Interval> ci95;  // [model, then feature]
};

Uncertainty uncertainty_of(const ComparisonTable& table, const Estimator& estimator,
                           const BradleyTerryFit& fit, const FitOptions& options,
                           const ProgressFn& progress, std::vector<std::string>& warnings) {
  std::vector<double> values = fit.ratings;
  values.insert(values.end(), fit.coefficients.begin(), fit.coefficients.end());
  Uncertainty result;
  if (options.bootstrap == 0) {
    result.se = sandwich_errors(table, estimator.weights, fit, estimator.sandwich);
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double half = stats::kNormal975 * result.se[i];
      result.ci95.push_back({.lo = values[i] - half, .hi = values[i] + half});
    }
    return result;
  }
  const auto replicates = resample(table, estimator, options, progress);
  for (std::size_t i = 0; i < values.size(); ++i) {
    std::vector<double> drawn;
    for (const auto& replicate : replicates) {
      if (!replicate.empty()) drawn.push_back(replicate[i]);
    }
    if (drawn.empty()) {
      throw Error(ErrorKind::kInput,
                  "every bootstrap replicate leaves some rating infinite; drop models with few "
                  "battles (--min-battles), or use --bootstrap 0 for sandwich intervals");
    }
    result.se.push_back(stats::standard_deviation(drawn));
    result.ci95.push_back(stats::percentile_interval(std::move(drawn)));
  }
  const auto failed = std::count_if(replicates.begin(), replicates.end(),
                                    [](const auto& replicate) { return replicate.empty(); });
  if (failed > 0) {
    warnings.push_back(
        fmt::format("{} of {} bootstrap replicates leave a rating infinite and are dropped; "
                    "intervals are too narrow for models with few battles",
                    failed, replicates.size()));
  }
  return result;
}

std::size_t anchor_index(const ComparisonTable& table, const std::string& name) {
  const auto place = std::find(table.models.begin(), table.models.end(), name);
  if (place == table.models.end()) {
    throw Error(ErrorKind::kUsage, "--anchor: no model '{}' in the battles; nearest names: {}",
                name, fmt::join(nearest_names(name, table.models), ", "));
  }
  return static_cast<std::size_t>(place - table.models.begin());
}

}  // namespace

void check_connected(const ComparisonTable& table) {
  const auto edges = comparison_edges(table);
  const auto components = stats::connected_components(table.models.size(), edges);
  if (components.size() > 1) {
    throw Error(
        ErrorKind::kInput,
        "the battles form {} disconnected components, so their ratings have no common scale: no "
        "battle between {} and {}; rate the components separately or add battles between them",
        components.size(), names_of(table, components[1]), names_of(table, components[0]));
  }
  const auto groups = stats::win_components(table.models.size(), edges);
  // Of several components at least one beside the largest only wins or only loses.
  for (std::size_t g = 1; g < groups.size(); ++g) {
    const auto outside = stats::outcomes_against_others(edges, groups[g]);
    if (outside.wins && outside.loses) continue;
    throw Error(ErrorKind::kInput,
                "the rating of {} is infinite: {} every battle against the others; give a prior "
                "(--prior-sd), drop models with few battles (--min-battles) or add battles",
                names_of(table, groups[g]), outside.wins ? "won" : "lost");
  }
}

void put_models(const ComparisonTable& table, std::span<const double> log_odds,
                const FitOptions& options, Ratings& result) {
  double zero_elo = kMeanElo;
  if (options.anchor) {
    const std::size_t anchor = anchor_index(table, *options.anchor);
    zero_elo = options.anchor_elo - kEloPerLogOdds * log_odds[anchor];
  }
  std::vector<double> battles(table.models.size(), 0.0);
  for (const Comparison& row : table.rows) {
    battles[row.a] += row.count;
    battles[row.b] += row.count;
  }
  for (std::size_t m = 0; m < table.models.size(); ++m) {
    result.models.push_back({.model = table.models[m],
                             .rating_elo = zero_elo + kEloPerLogOdds * log_odds[m],
                             .rating_ci95 = {},
                             .rating_se = 0.0,
                             .num_battles = std::llround(battles[m])});
  }
  std::stable_sort(result.models.begin(), result.models.end(),
                   [](const ModelRating& one, const ModelRating& other) {
                     return one.rating_elo > other.rating_elo;
                   });
}

Ratings rate_models(const ComparisonTable& table, const FitOptions& options,
                    const ProgressFn& progress) {
  check_connected(table);
  const Estimator estimator = estimator_of(table, options.style);
  const BradleyTerryFit fit = fit_bradley_terry(table, estimator.weights, estimator.ridge);
  Ratings result;
  const Uncertainty errors =
      uncertainty_of(table, estimator, fit, options, progress, result.warnings);
  put_models(table, fit.ratings, options, result);
  for (ModelRating& model : result.models) {
    const auto m = static_cast<std::size_t>(
        std::find(table.models.begin(), table.models.end(), model.model) - table.models.begin());
    const auto elo = [&](double log_odds) {
      return model.rating_elo + kEloPerLogOdds * (log_odds - fit.ratings[m]);
    };
    model.rating_se = kEloPerLogOdds * errors.se[m];
    model.rating_ci95 = {.lo = elo(errors.ci95[m].lo), .hi = elo(errors.ci95[m].hi)};
  }
  for (std::size_t f = 0; f < table.num_features; ++f) {
    result.styles.push_back({.feature = std::string(kStyleNames[f]),
                             .value = fit.coefficients[f],
                             .ci95 = errors.ci95[table.models.size() + f]});
  }
  return result;
}

}  // namespace charm::rate
