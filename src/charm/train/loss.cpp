#include "charm/train/loss.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/log_sigmoid.h>
#include <ATen/ops/tensor.h>

#include <cmath>

#include "charm/base/check.h"

namespace charm::train {

at::Tensor pair_loss_sum(const at::Tensor& scores_2P, const std::vector<float>& margins,
                         double centering) {
  CHARM_CHECK(scores_2P.dim() == 1 && scores_2P.size(0) % 2 == 0,
              "pairs need an even number of scores");
  const at::Tensor scores_P2 = scores_2P.view({-1, 2});
  const at::Tensor chosen_P = scores_P2.select(/*dim=*/1, 0);
  const at::Tensor rejected_P = scores_P2.select(/*dim=*/1, 1);
  at::Tensor difference_P = chosen_P - rejected_P;
  if (!margins.empty()) difference_P = difference_P - at::tensor(margins, scores_2P.options());
  at::Tensor loss = -at::log_sigmoid(difference_P).sum();
  if (centering != 0.0) {
    const at::Tensor sum_P = chosen_P + rejected_P;
    loss = loss + centering * (sum_P * sum_P).sum();
  }
  return loss;
}

void PairCounts::add(const at::Tensor& scores_2P) {
  const at::Tensor scores = scores_2P.detach().to(at::kCPU, at::kFloat).contiguous();
  const float* values = scores.const_data_ptr<float>();
  for (std::int64_t pair = 0; pair < scores.size(0) / 2; ++pair) {
    const double difference =
        static_cast<double>(values[2 * pair]) - static_cast<double>(values[2 * pair + 1]);
    ++num_pairs;
    num_right += difference > 0.0 ? 1 : 0;
    sum_margin += difference;
    // log(1 + exp(-x)) without overflow.
    sum_loss += std::max(0.0, -difference) + std::log1p(std::exp(-std::abs(difference)));
  }
}

}  // namespace charm::train
