#include "charm/train/loss.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/log_sigmoid.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <cmath>

#include "charm/base/check.h"

namespace charm::train {

at::Tensor pair_loss_sum(const at::Tensor& scores_S, const PairRows& pairs, PairLoss kind,
                         double centering) {
  CHARM_CHECK(scores_S.dim() == 1, "one score per response");
  CHARM_CHECK(pairs.chosen.size() == pairs.rejected.size(), "a pair has two sides");
  const auto on_device = [&](const std::vector<std::int64_t>& rows) {
    return at::tensor(rows, scores_S.options().dtype(at::kLong));
  };
  const at::Tensor chosen_P = scores_S.index_select(/*dim=*/0, on_device(pairs.chosen));
  const at::Tensor rejected_P = scores_S.index_select(/*dim=*/0, on_device(pairs.rejected));
  const at::Tensor difference_P = chosen_P - rejected_P;
  at::Tensor loss;
  if (kind == PairLoss::kBradleyTerry) {
    loss = -at::log_sigmoid(difference_P).sum();
  } else {
    CHARM_CHECK(pairs.margins.size() == pairs.chosen.size(), "one margin per pair");
    const at::Tensor margin_P = at::tensor(pairs.margins, scores_S.options().requires_grad(false));
    if (kind == PairLoss::kMargin) {
      loss = -at::log_sigmoid(difference_P - margin_P).sum();
    } else {
      // log sigmoid(-d) = log sigmoid(d) - d; 1 - sigmoid(m) = sigmoid(-m).
      loss = (at::sigmoid(-margin_P) * difference_P - at::log_sigmoid(difference_P)).sum();
    }
  }
  if (centering != 0.0) {
    const at::Tensor sum_P = chosen_P + rejected_P;
    loss = loss + centering * (sum_P * sum_P).sum();
  }
  return loss;
}

void PairCounts::add(const at::Tensor& scores_S, const PairRows& pairs) {
  const at::Tensor scores = scores_S.detach().to(at::kCPU, at::kFloat).contiguous();
  const float* values = scores.const_data_ptr<float>();
  for (std::size_t pair = 0; pair < pairs.chosen.size(); ++pair) {
    const double difference = static_cast<double>(values[pairs.chosen[pair]]) -
                              static_cast<double>(values[pairs.rejected[pair]]);
    ++num_pairs;
    num_right += difference > 0.0 ? 1 : 0;
    sum_margin += difference;
    // log(1 + exp(-x)) without overflow.
    sum_loss += std::max(0.0, -difference) + std::log1p(std::exp(-std::abs(difference)));
  }
}

}  // namespace charm::train
