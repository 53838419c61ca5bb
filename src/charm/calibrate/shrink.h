#pragma once

#include <span>
#include <vector>

namespace charm::calibrate {

/// What empirical Bayes makes of independent estimates around 0.
struct Shrinkage {
  double prior_sd = 0.0;        ///< tau, the spread of the true values around 0
  std::vector<double> factors;  ///< [estimate] tau^2 / (tau^2 + se^2): 1 keeps it, 0 drops it
  std::vector<double> values;   ///< [estimate] factor * estimate, the posterior mean
  std::vector<double> errors;   ///< [estimate] sqrt(factor) * se, the posterior standard deviation
};

/// Estimates d_p with standard errors se_p of true values drawn from N(0, tau^2); tau^2 solves
///     sum over p of d_p^2 / (tau^2 + se_p^2) = number of estimates
/// (Paule and Mandel 1982, with the mean known to be 0), or is 0 where the estimates spread no
/// further than their errors. Estimates with a standard error of 0 are kept. The errors leave out
/// that tau is estimated too, and that estimates against one reference share its prompts.
Shrinkage shrink_to_zero(std::span<const double> estimates, std::span<const double> errors);

}  // namespace charm::calibrate
