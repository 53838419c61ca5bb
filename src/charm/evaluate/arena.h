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

/// Correlation of a reward model with Arena over policies: of the mean score (over the policy's
/// prompts of the mean over its samples) and of the mean win rate against all others on common
/// prompts (a tie is half a win) with the ratings; mean |MD| of all ordered pairs (a tie is a loss,
/// the default of `charm measure`). Bootstrap intervals resample prompts; policies and ratings are
/// held fixed. Throws kInput for a policy without a rating, fewer than three policies, a policy
/// without a score, and two policies without a common prompt.
results::Evaluation arena_result(std::span<const Score> scores,
                                 const std::map<std::string, double>& rating_of_policy,
                                 const BootstrapOptions& options);

/// Metrics: spearman, kendall, pearson of the section mean_score, then of win_rate;
/// mean_abs_mismatch over all; the mean over `held_out_policies`, if any; then of every policy.
/// Throws as `arena_result`, and kUsage for an unknown name in `held_out_policies`. Two runs with
/// the same responses in the same order have the same prompts and groups.
MetricSet arena_metrics(std::span<const Score> scores,
                        const std::map<std::string, double>& rating_of_policy,
                        const std::vector<std::string>& held_out_policies = {});

}  // namespace charm::evaluate
