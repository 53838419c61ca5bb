#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "charm/engine/trainable_model.h"

namespace charm::train {

// S responses, P pairs of them.

/// Pairs of packed responses. A response may occur in several pairs.
struct PairRows {
  std::vector<std::int64_t> chosen;    ///< [P] index of the S scores
  std::vector<std::int64_t> rejected;  ///< [P]
  std::vector<float> margins;          ///< [P] margin column, score units
};

/// Loss of a pair; d = r_chosen - r_rejected, m = the margin column.
enum class PairLoss {
  kBradleyTerry,  ///< -log sigmoid(d) (Bradley and Terry 1952)
  kMargin,        ///< -log sigmoid(d - m): margin loss (Touvron et al. 2023, arXiv 2307.09288)
  /// -p log sigmoid(d) - (1 - p) log sigmoid(-d), p = sigmoid(m): cross-entropy with soft labels
  /// from the calibrated scores (distillation: Hinton et al. 2015, arXiv 1503.02531). Minimal at d
  /// = m, where the gradient vanishes; the other two losses have no finite minimum.
  kSoftLabels,
};

/// scale * sum over pairs of the loss  +  centering * (r_chosen + r_rejected)^2, with its gradient.
///
/// The second term centres scores at 0 (TRL's center_rewards_coefficient). Sums run in float64 in
/// the order of the pairs.
engine::ScoreGradient pair_loss(std::span<const float> scores_S, const PairRows& pairs,
                                PairLoss kind, double centering, double scale);

/// Metrics accumulated over pairs.
struct PairCounts {
  std::int64_t num_pairs = 0;
  std::int64_t num_right = 0;  ///< r_chosen > r_rejected; ties count as wrong
  double sum_margin = 0.0;     ///< of r_chosen - r_rejected
  double sum_loss =
      0.0;  ///< of -log sigmoid(r_chosen - r_rejected), without margin column and centring
  void add(std::span<const float> scores_S, const PairRows& pairs);
};

}  // namespace charm::train
