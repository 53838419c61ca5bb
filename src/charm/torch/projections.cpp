#include "charm/torch/projections.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/linear.h>

#include <numeric>
#include <optional>
#include <utility>

#include "charm/base/check.h"

namespace charm::torch {

at::Tensor linear(const at::Tensor& x_TI, const at::Tensor& weight_OI, const at::Tensor& bias_O) {
  return at::linear(x_TI, weight_OI,
                    bias_O.defined() ? std::optional<at::Tensor>(bias_O) : std::nullopt);
}

Projections::Projections(std::vector<at::Tensor> weights, std::vector<at::Tensor> biases,
                         std::vector<std::int64_t> outputs)
    : weights_(std::move(weights)), biases_(std::move(biases)), outputs_(std::move(outputs)) {
  CHARM_CHECK(weights_.size() == biases_.size() &&
                  (weights_.size() == 1 || weights_.size() == outputs_.size()),
              "{} weights and {} biases of {} layers", weights_.size(), biases_.size(),
              outputs_.size());
}

void Projections::fuse() {
  if (weights_.size() == 1) return;
  weights_ = {at::cat(weights_)};
  biases_ = {biases_.front().defined() ? at::cat(biases_) : at::Tensor()};
}

std::vector<at::Tensor> Projections::forward(const at::Tensor& x_TI) const {
  return forward(x_TI, 0, outputs_.size());
}

std::vector<at::Tensor> Projections::forward(const at::Tensor& x_TI, std::size_t begin,
                                             std::size_t end) const {
  std::vector<at::Tensor> parts;
  if (weights_.size() > 1 || outputs_.size() == 1) {
    for (std::size_t i = begin; i < end; ++i)
      parts.push_back(linear(x_TI, weights_[i], biases_[i]));
    return parts;
  }
  const auto first = outputs_.begin();
  const auto rows_before = [&](std::size_t index) {
    return std::accumulate(first, first + static_cast<std::ptrdiff_t>(index), std::int64_t{0});
  };
  const std::int64_t row = rows_before(begin), rows = rows_before(end) - row;
  const at::Tensor bias = biases_[0].defined() ? biases_[0].narrow(0, row, rows) : at::Tensor();
  const at::Tensor y_TO = linear(x_TI, weights_[0].narrow(0, row, rows), bias);
  for (std::size_t i = begin; i < end; ++i)
    parts.push_back(y_TO.narrow(1, rows_before(i) - row, outputs_[i]));
  return parts;
}

}  // namespace charm::torch
