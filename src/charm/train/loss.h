#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace charm::train {

// P pairs. Scores of packed pairs alternate: chosen, rejected, chosen, rejected, ...

/// Sum over pairs of  -log sigmoid(r_chosen - r_rejected - margin)  +  centering * (r_chosen +
/// r_rejected)^2.
///
/// The first term is Bradley and Terry's; the second keeps scores near 0 (TRL's
/// center_rewards_coefficient).
/// @param scores_2P  float32 [2P]
/// @param margins    one per pair, or empty for none
/// @return           float32 scalar. Gradients flow to the scores.
at::Tensor pair_loss_sum(const at::Tensor& scores_2P, const std::vector<float>& margins,
                         double centering);

/// What is counted over pairs, beside the loss.
struct PairCounts {
  std::int64_t num_pairs = 0;
  std::int64_t num_right = 0;  ///< r_chosen > r_rejected; a tie is wrong
  double sum_margin = 0.0;     ///< of r_chosen - r_rejected
  double sum_loss =
      0.0;  ///< of -log sigmoid(r_chosen - r_rejected), without margin column and centring
  void add(const at::Tensor& scores_2P);
};

}  // namespace charm::train
