#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "charm/results/pair.h"

namespace charm::results {

/// Which win rate is equalised with the target.
enum class ModeKind {
  kSamePrompt,  ///< share of prompts where the policy's score is higher: what MD measures;
                ///< recommended
  kAllPairs,    ///< mean of sigmoid((s_over,i + d - s_ref,j) / T) over all prompts i and j
  kBlock,       ///< the original's: the same mean within blocks of N rows
  kVotes,       ///< no win rate: maximum likelihood of people's votes on the same responses
};

struct Mode {
  ModeKind kind = ModeKind::kSamePrompt;
  std::int64_t block_rows = 0;  ///< N of block:N
};

/// "same-prompt", "all-pairs", "block:1000", "votes".
std::string mode_name(const Mode& mode);
/// Throws kUsage for anything else.
Mode parse_mode(std::string_view word);

enum class SolverKind {
  kExact,  ///< order statistic, bracketed root, least squares
  kAdam,   ///< reproduces the original's training of a small network; smooth modes only
};
std::string_view solver_name(SolverKind solver);
SolverKind parse_solver(std::string_view word);

enum class PairWeights {
  kEqual,  ///< equal weight for every pair of policies
  kCount,  ///< weight by number of common prompts
};
std::string_view pair_weights_name(PairWeights weights);
PairWeights parse_pair_weights(std::string_view word);

struct SolveOptions {
  Mode mode;
  SolverKind solver = SolverKind::kExact;
  TieRule ties = TieRule::kLoss;  ///< of same-prompt win rates and MD
  PairWeights weights =
      PairWeights::kEqual;   ///< of pairs, where three or more policies are calibrated jointly
  double temperature = 0.1;  ///< T of the smooth modes, score units; 0.1 as in the original
  /// Empirical Bayes shrinkage of the offsets towards 0 (shrink_to_zero): for policies with few
  /// prompts. Same-prompt mode and the exact solver only.
  bool shrink = false;
  std::int64_t bootstrap = 1000;  ///< bootstrap replicates for the intervals; 0: none
  std::uint64_t seed = 0;         ///< of the bootstrap (and of the adam solver's initialisation)
  std::size_t num_threads = 0;    ///< 0: all processors; the result does not depend on it
};

}  // namespace charm::results
