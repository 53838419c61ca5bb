#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "charm/calibrate/smooth_curve.h"

namespace charm::calibrate {

/// One pair's term of the joint objective: weight * (win rate(o_over - o_ref) - target)^2.
struct PairTerm {
  std::size_t over = 0;
  std::size_t ref = 0;
  double weight = 1.0;
  double target = 0.0;
};

/// Residual and slope of a pair at the current offsets.
struct PairValue {
  double residual = 0.0;  ///< win rate - target
  double slope = 0.0;     ///< of the win rate in o_over - o_ref
};

/// Damped Gauss-Newton step of all offsets, the reference fixed at 0:
///     (J'WJ + damping * diag) step = -J'W r
/// Offsets on which no pair has any slope do not change.
std::vector<double> least_squares_step(std::size_t num_policies, std::size_t reference,
                                       std::span<const PairTerm> terms,
                                       std::span<const PairValue> values, double damping);

/// sum weight * residual^2
double sum_of_squares(std::span<const PairTerm> terms, std::span<const PairValue> values);

/// Values of all pairs at the given offsets.
std::vector<PairValue> pair_values(std::span<const std::unique_ptr<SmoothCurve>> curves,
                                   std::span<const PairTerm> terms,
                                   std::span<const double> offsets);

/// Offsets that minimise sum weight * (win rate - target)^2, the reference at 0, by
/// Levenberg-Marquardt from `start`; converged where a step changes no offset by more than 1e-11
/// score units or no longer improves the objective.
std::vector<double> fit_offsets(std::span<const std::unique_ptr<SmoothCurve>> curves,
                                std::span<const PairTerm> terms, std::size_t reference,
                                std::vector<double> start);

}  // namespace charm::calibrate
