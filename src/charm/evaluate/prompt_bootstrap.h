#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "charm/base/random.h"
#include "charm/evaluate/benchmark.h"

namespace charm::evaluate {

/// Draws bootstrap weights for rows that share prompts. All rows of a prompt are drawn together,
/// and prompts are drawn among those that occur in the same set of groups (subsets or domains), so
/// that rows of one prompt in several groups move together and a group is practically never drawn
/// empty. Sets of several groups with very few prompts are pooled. Immutable; safe to use from
/// several threads.
class PromptBootstrap {
 public:
  /// @param prompts  identity of each row's prompt
  /// @param groups   the subset or domain each row belongs to, as long as `prompts`
  PromptBootstrap(std::span<const std::string> prompts, std::span<const std::string> groups);

  /// How often each row occurs in one draw.
  std::vector<double> draw(RandomStream& random) const;

  std::size_t num_rows() const { return prompt_of_row_.size(); }

 private:
  std::vector<std::size_t> prompt_of_row_;
  std::vector<std::vector<std::size_t>> strata_;  ///< prompts that are drawn among each other
  std::size_t num_prompts_ = 0;
};

/// Statistics of rows under weights: all weights 1 give the values, draws give the spread. NaN
/// where a statistic is undefined.
using WeightedStatistics = std::function<std::vector<double>(std::span<const double> weights)>;

/// Values and percentile intervals (2.5 %, 97.5 %) of every statistic. Draws in which a statistic
/// is undefined are left out of its interval; with no draws left (or none asked for) the ends are
/// NaN.
std::vector<Estimate> bootstrap_estimates(const PromptBootstrap& rows,
                                          const WeightedStatistics& statistics,
                                          const BootstrapOptions& options);

}  // namespace charm::evaluate
