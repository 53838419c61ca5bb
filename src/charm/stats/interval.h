#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "charm/results/estimate.h"

namespace charm::stats {

using results::Interval;

/// Percentile interval of bootstrap replicates; `level` is the coverage. `values` not empty.
Interval percentile_interval(std::vector<double> values, double level = 0.95);

/// The 95 % percentile interval; none without replicates.
std::optional<Interval> replicate_interval(const std::vector<double>& values);

/// The same for a mean of |x|, which the noise of resampling makes larger (|x| is convex): the
/// replicates are shifted so that their mean is the estimate, without which the interval may leave
/// it out. `at_least`: the smallest possible value.
std::optional<Interval> centred_interval(std::vector<double> values, double estimate,
                                         std::optional<double> at_least = std::nullopt);

/// 97.5 % quantile of the standard normal distribution.
inline constexpr double kNormal975 = 1.959963984540054;

/// A mean with its standard error, clustered by prompt.
struct ClusteredRate {
  double rate = 0.0;
  double se = 0.0;
  std::int64_t num_prompts = 0;  ///< prompts with rows
};

/// `prompt_of_row` of the length of `values`, which is not empty. The influence of prompt g on the
/// mean w of N rows is u_g = sum of (value - w) / N over its rows; se^2 = G / (G - 1) sum u_g^2.
ClusteredRate clustered_rate(std::span<const double> values,
                             std::span<const std::uint32_t> prompt_of_row);

/// Wilson's 95 % score interval of a proportion at the effective sample size implied by its
/// standard error; unlike the Wald interval (rate +- 1.96 se) it does not collapse at 0 and 1.
Interval wilson_interval(const ClusteredRate& share);

}  // namespace charm::stats
