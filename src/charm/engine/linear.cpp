#include "charm/engine/linear.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "charm/base/check.h"
#include "charm/engine/kernel_call.h"
#include "charm/engine/ops.h"

namespace charm::engine {
namespace {

// oneDNN's prepacked linear has no C++ header in ATen; its operators are looked up by name.
at::Tensor onednn_reorder(const at::Tensor& weight_OI) {
  static const auto kOp = c10::Dispatcher::singleton()
                              .findSchemaOrThrow("mkldnn::_reorder_linear_weight", "")
                              .typed<at::Tensor(const at::Tensor&, std::optional<std::int64_t>)>();
  return kOp.call(weight_OI, kGemmRows);
}

at::Tensor onednn_linear(const at::Tensor& x_NI, const at::Tensor& packed,
                         const std::optional<at::Tensor>& bias_O) {
  static const auto kOp =
      c10::Dispatcher::singleton()
          .findSchemaOrThrow("mkldnn::_linear_pointwise", "")
          .typed<at::Tensor(const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&,
                            c10::string_view, c10::List<std::optional<at::Scalar>>,
                            std::optional<c10::string_view>)>();
  return kOp.call(x_NI, packed, bias_O, "none", c10::List<std::optional<at::Scalar>>(), "");
}

/// Null for an undefined tensor.
template <typename Element>
const Element* elements_or_null(const at::Tensor& tensor) {
  return tensor.defined() ? elements<Element>(tensor) : nullptr;
}

template <typename Element>
void apply(const at::Tensor& x_NI, std::span<const kernels::GemmOutput<Element>> outputs) {
  CHARM_CHECK(x_NI.stride(1) == 1, "GEMM needs contiguous rows");
  CHARM_CHECK(x_NI.size(1) == outputs.front().weight->inputs(), "{} inputs for a layer of {}",
              x_NI.size(1), outputs.front().weight->inputs());
  kernels::gemm<Element>(static_cast<const Element*>(x_NI.const_data_ptr()), x_NI.stride(0),
                         x_NI.size(0), outputs);
}

template <typename Element>
kernels::GemmOutput<Element> output_of(const kernels::PackedWeight& weight, at::Tensor& out) {
  CHARM_CHECK(out.stride(1) == 1, "GEMM needs contiguous rows");
  kernels::GemmOutput<Element> output;
  output.weight = &weight;
  output.out = static_cast<Element*>(out.mutable_data_ptr());
  output.row_stride = out.stride(0);
  return output;
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
  Linear linear;
  linear.out_features_ = weight_OI.size(0);
  linear.packed_ = true;
  linear.backend_ = backend;
  if (backend == GemmBackend::kCharm) {
    call_for_dtype(weight_OI, [&](auto element) {
      using Element = decltype(element);
      linear.packed_weight_ =
          std::make_shared<const kernels::PackedWeight>(kernels::PackedWeight::pack<Element>(
              elements<Element>(weight_OI), elements_or_null<Element>(bias_O), weight_OI.size(0),
              weight_OI.size(1)));
    });
    return linear;
  }
  linear.weight_ = backend == GemmBackend::kOneDnnPacked ? onednn_reorder(weight_OI) : weight_OI;
  linear.bias_ = std::move(bias_O);
  return linear;
}

at::Tensor Linear::forward(const at::Tensor& x_NI) const {
  const std::optional<at::Tensor> bias =
      bias_.defined() ? std::optional<at::Tensor>(bias_) : std::nullopt;
  if (!packed_) return at::linear(x_NI, weight_, bias);
  const std::int64_t rows = x_NI.size(0);
  at::Tensor y_NO = at::empty({rows, out_features_}, x_NI.options());
  if (backend_ == GemmBackend::kCharm) {
    const Projection to[] = {{this, y_NO}};
    project(x_NI, to);
    return y_NO;
  }
  for (std::int64_t row = 0; row < rows; row += kGemmRows) {
    const std::int64_t real = std::min(kGemmRows, rows - row);
    at::Tensor x = x_NI.narrow(0, row, real);
    if (real < kGemmRows) x = at::constant_pad_nd(x, {0, 0, 0, kGemmRows - real});
    const at::Tensor y = backend_ == GemmBackend::kOneDnnPacked ? onednn_linear(x, weight_, bias)
                                                                : at::linear(x, weight_, bias);
    y_NO.narrow(0, row, real).copy_(y.narrow(0, 0, real));
  }
  return y_NO;
}

void project(const at::Tensor& x_NI, std::span<const Projection> to) {
  if (to.empty()) return;
  if (to.front().linear->backend_ != GemmBackend::kCharm) {
    for (const Projection& one : to) {
      const at::Tensor y = one.linear->forward(x_NI);
      one.add ? one.out_NO.add_(y) : one.out_NO.copy_(y);
    }
    return;
  }
  call_for_dtype(x_NI, [&](auto element) {
    using Element = decltype(element);
    std::vector<kernels::GemmOutput<Element>> outputs;
    for (const Projection& one : to) {
      at::Tensor out = one.out_NO;
      outputs.push_back(output_of<Element>(*one.linear->packed_weight_, out));
      outputs.back().add = one.add;
    }
    apply<Element>(x_NI, outputs);
  });
}

GatedLinear GatedLinear::plain(Linear gate, Linear up, Activation activation) {
  GatedLinear gated;
  gated.outputs_ = gate.out_features_;
  gated.gate_ = std::move(gate);
  gated.up_ = std::move(up);
  gated.activation_ = activation;
  return gated;
}

GatedLinear GatedLinear::packed(const at::Tensor& gate_FI, const at::Tensor& gate_bias_F,
                                const at::Tensor& up_FI, const at::Tensor& up_bias_F,
                                Activation activation, GemmBackend backend) {
  if (backend != GemmBackend::kCharm) {
    return plain(Linear::packed(gate_FI, gate_bias_F, backend),
                 Linear::packed(up_FI, up_bias_F, backend), activation);
  }
  GatedLinear gated;
  gated.outputs_ = gate_FI.size(0);
  gated.activation_ = activation;
  call_for_dtype(gate_FI, [&](auto element) {
    using Element = decltype(element);
    gated.packed_weight_ =
        std::make_shared<const kernels::PackedWeight>(kernels::PackedWeight::pack_gated<Element>(
            elements<Element>(gate_FI), elements_or_null<Element>(gate_bias_F),
            elements<Element>(up_FI), elements_or_null<Element>(up_bias_F), gate_FI.size(0),
            gate_FI.size(1)));
  });
  return gated;
}

at::Tensor GatedLinear::forward(const at::Tensor& x_NI, Mode mode) const {
  if (packed_weight_ == nullptr)
    return gated_mul(gate_.forward(x_NI), up_.forward(x_NI), activation_, mode);
  at::Tensor out_NF = at::empty({x_NI.size(0), outputs_}, x_NI.options());
  forward_into(x_NI, out_NF);
  return out_NF;
}

void GatedLinear::forward_into(const at::Tensor& x_NI, at::Tensor& out_NF) const {
  if (packed_weight_ == nullptr) {
    out_NF.copy_(forward(x_NI, Mode::kInference));
    return;
  }
  call_for_dtype(x_NI, [&](auto element) {
    using Element = decltype(element);
    kernels::GemmOutput<Element> output = output_of<Element>(*packed_weight_, out_NF);
    output.gate = activation_;
    apply<Element>(x_NI, std::span<const kernels::GemmOutput<Element>>(&output, 1));
  });
}

}  // namespace charm::engine
