#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "charm/base/random.h"
#include "charm/evaluate/benchmark.h"

namespace charm::evaluate {

/// Stratified cluster bootstrap. All rows of a prompt are resampled together (cluster), and prompts
/// are resampled among those that occur in the same set of groups (stratum; groups are subsets or
/// domains), so that rows of one prompt in several groups stay together and a group is practically
/// never empty. Strata of several groups with very few prompts are pooled. Immutable; safe to use
/// from several threads.
class PromptBootstrap {
 public:
  /// @param prompts  identity of each row's prompt
  /// @param groups   subset or domain of each row, as many as `prompts`
  PromptBootstrap(std::span<const std::string> prompts, std::span<const std::string> groups);

  /// Multiplicity of each row in one bootstrap replicate.
  std::vector<double> resample(RandomStream& random) const;

  std::size_t num_rows() const { return prompt_of_row_.size(); }

 private:
  std::vector<std::size_t> prompt_of_row_;
  std::vector<std::vector<std::size_t>> strata_;  ///< prompts of each stratum
  std::size_t num_prompts_ = 0;
};

/// Statistics of rows under weights: unit weights give the values, bootstrap weights the
/// replicates. NaN where a statistic is undefined.
using WeightedStatistics = std::function<std::vector<double>(std::span<const double> weights)>;

/// What a statistic is, which decides the interval that its replicates give.
enum class StatisticKind {
  kPlain,                ///< percentiles of the replicates
  kMagnitude,            ///< a mean of |x|: see stats::centred_interval
  kMagnitudeDifference,  ///< of two of those
};

/// Values and 95 % intervals of every statistic. Replicates in which a statistic is undefined are
/// dropped from its interval; without replicates there is none.
/// @param kinds  [statistic]; empty: all plain
std::vector<Estimate> bootstrap_estimates(const PromptBootstrap& rows,
                                          const WeightedStatistics& statistics,
                                          const BootstrapOptions& options,
                                          std::span<const StatisticKind> kinds = {});

}  // namespace charm::evaluate
