#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "charm/stats/comparison_graph.h"

namespace charm::rate {

/// One outcome of a battle between two models, observed `count` times.
struct Comparison {
  std::uint32_t a = 0;  ///< index of a model
  std::uint32_t b = 0;
  double outcome = 0.5;  ///< 1: a won, 0: b won, 0.5: a tie
  double count = 1.0;
};

/// Comparisons of models with covariates of each.
struct ComparisonTable {
  std::vector<std::string> models;
  std::vector<Comparison> rows;
  std::size_t num_features = 0;
  std::vector<double> features;  ///< [row * num_features], difference a - b

  std::span<const double> features_of(std::size_t row) const {
    return std::span(features).subspan(row * num_features, num_features);
  }
};

struct Ridge {
  double ratings = 0.0;       ///< per squared rating in log odds
  double coefficients = 0.0;  ///< per squared coefficient
};

struct BradleyTerryFit {
  std::vector<double> ratings;       ///< [model] log odds; without a ridge their mean is 0
  std::vector<double> coefficients;  ///< [feature] log odds per unit
};

/// Minimises  sum weight * count * -log likelihood + ridge / 2 * squares  for
/// P(a beats b) = 1 / (1 + exp(-(r_a - r_b + x'c))), a tie being half a win and half a loss, by
/// damped Newton steps until none moves a parameter by more than 1e-10. `weights` [row]; empty: 1.
/// Without a ridge on the ratings the table must be connected (check_connected).
BradleyTerryFit fit_bradley_terry(const ComparisonTable& table, std::span<const double> weights,
                                  const Ridge& ridge);

/// The rows with a count, for the graph functions of stats/comparison_graph.h.
std::vector<stats::ComparisonEdge> comparison_edges(const ComparisonTable& table);

/// How the sandwich estimator is built from the Hessian H and the outer products of gradients G.
struct SandwichOptions {
  double hessian_ridge = 0.0;  ///< added to H's diagonal
  Ridge penalty;               ///< added to H's diagonal as well
  double correction =
      0.0;  ///< times c c' (coefficients) is subtracted from the coefficient block of G
};

/// [model, then feature] standard errors in log odds: square roots of the diagonal of
/// H^-1 G H^-1 with H = sum w n p (1 - p) x x' + ridges and G = sum n (w (outcome - p))^2 x x'.
std::vector<double> sandwich_errors(const ComparisonTable& table, std::span<const double> weights,
                                    const BradleyTerryFit& fit, const SandwichOptions& options);

}  // namespace charm::rate
