#pragma once

#include <span>
#include <vector>

namespace charm::calibrate {

/// Empirical Bayes shrinkage of independent estimates towards 0.
struct Shrinkage {
  double prior_sd = 0.0;  ///< tau, the prior standard deviation around 0
  std::vector<double>
      factors;  ///< [estimate] tau^2 / (tau^2 + se^2): 1: no shrinkage, 0: shrunk to 0
  std::vector<double> values;  ///< [estimate] factor * estimate, the posterior mean
  std::vector<double> errors;  ///< [estimate] sqrt(factor) * se, the posterior standard deviation
};

/// Estimates d_p with standard errors se_p of true values drawn from N(0, tau^2); tau^2 solves
///     sum over p of d_p^2 / (tau^2 + se_p^2) = number of estimates
/// (Paule and Mandel 1982, with the mean known to be 0), or is 0 where the estimates vary no more
/// than their standard errors. Estimates with a standard error of 0 are kept. The errors ignore
/// that tau is estimated, and that estimates against one reference share its prompts.
Shrinkage shrink_to_zero(std::span<const double> estimates, std::span<const double> errors);

}  // namespace charm::calibrate
