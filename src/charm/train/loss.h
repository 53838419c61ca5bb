#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace charm::train {

// S responses, P pairs of them.

/// Pairs of packed responses. A response may stand in several pairs.
struct PairRows {
  std::vector<std::int64_t> chosen;    ///< [P] place among the S scores
  std::vector<std::int64_t> rejected;  ///< [P]
  std::vector<float> margins;          ///< [P] margin column, score units
};

/// What a pair teaches; d = r_chosen - r_rejected, m = the margin column.
enum class PairLoss {
  kBradleyTerry,  ///< -log sigmoid(d): the chosen side wins (Bradley and Terry 1952)
  kMargin,        ///< -log sigmoid(d - m): it wins by m (Touvron et al. 2023, arXiv 2307.09288)
  /// -p log sigmoid(d) - (1 - p) log sigmoid(-d), p = sigmoid(m): it wins as often as the
  /// calibrated scores say. Least where d = m, so a pair that already stands right has no gradient,
  /// while the other two push every pair apart without end (targets of another model: Hinton et al.
  /// 2015, arXiv 1503.02531).
  kSoftLabels,
};

/// Sum over pairs of the loss  +  centering * (r_chosen + r_rejected)^2.
///
/// The second term keeps scores near 0 (TRL's center_rewards_coefficient).
/// @param scores_S  float32 [S]
/// @return          float32 scalar. Gradients flow to the scores.
at::Tensor pair_loss_sum(const at::Tensor& scores_S, const PairRows& pairs, PairLoss kind,
                         double centering);

/// What is counted over pairs, beside the loss.
struct PairCounts {
  std::int64_t num_pairs = 0;
  std::int64_t num_right = 0;  ///< r_chosen > r_rejected; a tie is wrong
  double sum_margin = 0.0;     ///< of r_chosen - r_rejected
  double sum_loss =
      0.0;  ///< of -log sigmoid(r_chosen - r_rejected), without margin column and centring
  void add(const at::Tensor& scores_S, const PairRows& pairs);
};

}  // namespace charm::train
