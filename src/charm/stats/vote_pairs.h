#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "charm/results/mismatch.h"
#include "charm/results/pair.h"
#include "charm/stats/vote_table.h"

// The reward model and people on the same responses.
namespace charm::stats {

/// How intervals of pairs are computed.
enum class PairIntervals {
  kBootstrap,  ///< percentiles over resampled prompts; without replicates there are none
  kClustered,  ///< from standard errors clustered by prompt: Wilson's for rates, the delta method's
               ///< for MD
};

struct VotePairOptions {
  PairIntervals intervals = PairIntervals::kBootstrap;
  results::TieRule ties = results::TieRule::kHalf;  ///< of equal scores; people's ties are half
  std::int64_t bootstrap = 0;  ///< replicates over prompts for the intervals; 0: none
  std::uint64_t seed = 0;
  std::size_t num_threads = 0;
};

/// What a calibration adds to the score differences of votes, score units.
struct VoteCorrection {
  std::vector<double> offsets;  ///< [policy]; empty: no correction
  /// Log odds per unit of each feature's difference, as fitted; zero without style control.
  std::array<double, kNumStyles> style_weights{};
  double temperature = 1.0;  ///< T: weights count T times as much in score units

  bool empty() const { return offsets.empty(); }
};

/// Every ordered pair of policies with a vote, by policy, then reference: `target` is people's win
/// rate (ties half), `before` the reward model's on the same responses, MD between the two; with a
/// correction also `after`, the win rate under
/// score_a - score_b + offset_a - offset_b + T style . (features_a - features_b). The p-value is
/// that of the paired difference, clustered by prompt.
std::vector<results::Pair> vote_pairs(const VoteTable& table, const VoteCorrection& correction,
                                      const VotePairOptions& options);

/// Votes of one named judge are not compared with each other; without judges all votes on the same
/// two responses are taken to be of different people. Responses are the same if prompt, policies
/// and scores are.
results::VoteAgreement vote_agreement(const VoteTable& table, const VotePairOptions& options);

}  // namespace charm::stats
