#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "charm/evaluate/benchmark.h"
#include "charm/evaluate/metrics.h"
#include "charm/results/evaluation.h"

namespace charm {
struct Score;
}

namespace charm::evaluate {

using results::Correlations;

struct ArenaPolicy {
  std::string name;
  double rating_elo = 0.0;
  double mean_score =
      0.0;  ///< mean over the policy's prompts of the mean over its samples, score units
  double win_rate =
      0.0;  ///< mean win rate against all other policies on common prompts; a tie is half a win
  /// Mean |MD| over the ordered pairs of the policy with all others; a tie is a loss, the default
  /// of `charm measure`.
  Estimate mean_abs_mismatch;
  std::int64_t num_prompts = 0;
  std::int64_t num_errors = 0;  ///< rows without a score, dropped
};

struct ArenaResult {
  Correlations mean_score;              ///< of mean score and rating
  Correlations win_rate;                ///< of win rate and rating
  Estimate mean_abs_mismatch;           ///< mean |MD| of all ordered pairs
  std::vector<ArenaPolicy> policies;    ///< by rating, best first
  std::int64_t num_prompts = 0;         ///< that any policy answered
  std::int64_t num_common_prompts = 0;  ///< that every policy answered
  std::int64_t ties = 0;                ///< of num_comparisons
  std::int64_t num_comparisons = 0;  ///< pairs of scores of two policies on one prompt and sample
};

/// Correlation of a reward model with Arena over policies. Bootstrap intervals resample prompts;
/// policies and ratings are held fixed. Throws kInput for a policy without a rating, fewer than
/// three policies, a policy without a score, and two policies without a common prompt.
ArenaResult arena_result(std::span<const Score> scores,
                         const std::map<std::string, double>& rating_of_policy,
                         const BootstrapOptions& options);

/// Metrics: spearman, kendall, pearson of the section mean_score, then of win_rate;
/// mean_abs_mismatch over all; the mean over `held_out_policies`, if any; then of every policy.
/// Throws as `arena_result`, and kUsage for an unknown name in `held_out_policies`. Two runs with
/// the same responses in the same order have the same prompts and groups.
MetricSet arena_metrics(std::span<const Score> scores,
                        const std::map<std::string, double>& rating_of_policy,
                        const std::vector<std::string>& held_out_policies = {});

/// As the result file has it.
results::Evaluation evaluation_of(const ArenaResult& result);

/// Plain-text output.
std::string result_text(const ArenaResult& result);

}  // namespace charm::evaluate
