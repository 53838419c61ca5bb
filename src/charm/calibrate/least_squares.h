#pragma once

#include <cstddef>
#include <span>
#include <vector>

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

}  // namespace charm::calibrate
