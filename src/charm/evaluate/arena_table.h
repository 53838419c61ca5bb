#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace charm {
struct Score;
}

namespace charm::evaluate {

// P policies, N prompts (of any policy).

struct ArenaPolicy {
  std::string name;
  double rating_elo = 0.0;
  std::int64_t num_prompts = 0;
  std::int64_t num_errors = 0;  ///< rows without a score, dropped
};

/// Scores by prompt and policy, and pairwise comparisons on each prompt.
struct ScoreTable {
  struct Pair {
    std::size_t a = 0, b = 0;    ///< policies
    std::vector<double> wins_a;  ///< [N] share of common samples where a scores higher
    std::vector<double>
        wins_b;  ///< [N] share of common samples where b scores higher; the rest are ties
    std::vector<double> has_both;  ///< [N] 1 where both answered
  };
  std::vector<ArenaPolicy> policies;         ///< [P] by rating, best first
  std::vector<std::vector<double>> mean_PN;  ///< mean over samples; 0 where there is no score
  std::vector<std::vector<double>> has_PN;   ///< 1 where the policy answered
  std::vector<Pair> pairs;
  std::size_t num_prompts = 0;
  std::int64_t ties = 0, num_comparisons = 0;  ///< of two policies on one prompt and sample
  /// Each (prompt, policy) with a score: the rows of the bootstrap.
  std::vector<std::string> row_prompts, row_policies;
  std::vector<std::size_t> prompt_of_row;
};

/// Throws kInput as `arena_result` does.
ScoreTable build_score_table(std::span<const Score> scores,
                             const std::map<std::string, double>& rating_of_policy);

}  // namespace charm::evaluate
