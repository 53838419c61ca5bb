#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <span>

// How well probabilities predict votes.
namespace charm::evaluate {

inline constexpr std::size_t kVoteMeasures = 4;
inline constexpr std::array<const char*, kVoteMeasures> kVoteMeasureNames = {"accuracy", "log_loss",
                                                                             "brier", "ece"};

/// One vote from the side of model_a.
struct PredictedVote {
  double outcome = 0.5;   ///< 1: model_a won, 0: model_b won, 0.5: a tie
  double log_odds = 0.0;  ///< of P(a over b)

  double probability() const { return 1.0 / (1.0 + std::exp(-log_odds)); }
  bool is_decided() const { return outcome != 0.5; }
  /// Of a decided vote: 1 where the chosen response has P > 1/2, 1/2 where P is 1/2.
  double correctness() const {
    const double p = probability();
    return p == 0.5 ? 0.5 : (p > 0.5) == (outcome == 1.0) ? 1.0 : 0.0;
  }
};

/// Accuracy on decided votes, log-loss, Brier score and expected calibration error of weighted
/// votes, as `VotePrediction` defines them; NaN where a measure is undefined.
std::array<double, kVoteMeasures> vote_measures(std::span<const PredictedVote> votes,
                                                std::span<const double> weights);

}  // namespace charm::evaluate
