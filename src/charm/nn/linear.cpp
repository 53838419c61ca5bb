#include "charm/nn/linear.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>

#include <algorithm>
#include <optional>
#include <utility>


namespace charm::nn {
namespace {

// oneDNN's prepacked product has no C++ header in ATen; its operators are reached by name.
at::Tensor onednn_reorder(const at::Tensor& weight_OI) {
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("mkldnn::_reorder_linear_weight", "")
                             .typed<at::Tensor(const at::Tensor&, std::optional<std::int64_t>)>();
  return op.call(weight_OI, kGemmRows);
}

at::Tensor onednn_linear(const at::Tensor& x_NI, const at::Tensor& packed, const std::optional<at::Tensor>& bias_O) {
  static const auto op =
      c10::Dispatcher::singleton()
          .findSchemaOrThrow("mkldnn::_linear_pointwise", "")
          .typed<at::Tensor(const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&, c10::string_view,
                            c10::List<std::optional<at::Scalar>>, std::optional<c10::string_view>)>();
  return op.call(x_NI, packed, bias_O, "none", c10::List<std::optional<at::Scalar>>(), "");
}

}  // namespace

Linear Linear::plain(at::Tensor weight_OI, at::Tensor bias_O) {
  Linear linear;
  linear.out_features_ = weight_OI.size(0);
  linear.weight_ = std::move(weight_OI);
  linear.bias_ = std::move(bias_O);
  return linear;
}

Linear Linear::packed(const at::Tensor& weight_OI, at::Tensor bias_O, GemmBackend backend) {
  Linear linear = plain(backend == GemmBackend::kOneDnnPacked ? onednn_reorder(weight_OI) : weight_OI, std::move(bias_O));
  linear.out_features_ = weight_OI.size(0);
  linear.packed_ = true;
  linear.backend_ = backend;
  return linear;
}

at::Tensor Linear::forward(const at::Tensor& x_NI) const {
  const std::optional<at::Tensor> bias = bias_.defined() ? std::optional<at::Tensor>(bias_) : std::nullopt;
  if (!packed_) return at::linear(x_NI, weight_, bias);
  // Libraries choose their inner order of summation by the row count: every product has kGemmRows of them.
  const std::int64_t rows = x_NI.size(0);
  at::Tensor y_NO = at::empty({rows, out_features_}, x_NI.options());
  for (std::int64_t row = 0; row < rows; row += kGemmRows) {
    const std::int64_t real = std::min(kGemmRows, rows - row);
    at::Tensor x = x_NI.narrow(0, row, real);
    if (real < kGemmRows) x = at::constant_pad_nd(x, {0, 0, 0, kGemmRows - real});
    const at::Tensor y = backend_ == GemmBackend::kOneDnnPacked ? onednn_linear(x, weight_, bias) : at::linear(x, weight_, bias);
    y_NO.narrow(0, row, real).copy_(y.narrow(0, 0, real));
  }
  return y_NO;
}

}  // namespace charm::nn
