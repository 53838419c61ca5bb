#include "charm/engine/ops.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/silu.h>

#include "charm/engine/kernel_call.h"

namespace charm::engine {

at::Tensor rms_norm(const at::Tensor& x_TD, const at::Tensor& weight_D, const NormConfig& config,
                    Mode mode) {
  if (mode == Mode::kAutograd && x_TD.is_cpu())
    return rms_norm_with_backward(x_TD, weight_D, config);
  if (mode != Mode::kInference) {
    const at::Tensor x = x_TD.to(at::kFloat);
    const at::Tensor scale = at::rsqrt((x * x).mean(/*dim=*/-1, /*keepdim=*/true) + config.eps);
    at::Tensor weight = weight_D.to(at::kFloat);
    if (config.weight_offset != 0.0) weight = weight + config.weight_offset;
    return (weight * (x * scale)).to(x_TD.scalar_type());
  }
  at::Tensor out = at::empty(x_TD.sizes(), x_TD.options());
  rms_norm_into(x_TD, weight_D, config, out);
  return out;
}

void rms_norm_into(const at::Tensor& x_TD, const at::Tensor& weight_D, const NormConfig& config,
                   at::Tensor& out_TD) {
  call_for_dtype(x_TD, [&](auto element) {
    using Element = decltype(element);
    kernels::rms_norm(elements<Element>(x_TD), elements<Element>(weight_D),
                      static_cast<float>(config.eps), mutable_elements<Element>(out_TD),
                      x_TD.size(0), x_TD.size(1), static_cast<float>(config.weight_offset));
  });
}

at::Tensor rms_norm_heads(const at::Tensor& x_THE, const at::Tensor& weight_E,
                          const NormConfig& config, Mode mode) {
  if (!weight_E.defined()) return x_THE;
  return rms_norm(x_THE.view({-1, weight_E.size(0)}), weight_E, config, mode).view(x_THE.sizes());
}

at::Tensor rope_heads(const at::Tensor& x_THE, const at::Tensor& cos_TF, const at::Tensor& sin_TF,
                      std::int64_t heads) {
  if (x_THE.is_cpu()) return rope_with_backward(x_THE, cos_TF, sin_TF, heads).transpose(0, 1);
  const std::int64_t rows = x_THE.size(0);
  const std::int64_t head_dim = x_THE.size(1) / heads;
  const at::Tensor x = x_THE.view({rows, heads, head_dim}).to(at::kFloat);
  const std::int64_t half = cos_TF.size(1);
  const at::Tensor low = x.narrow(-1, 0, half);
  const at::Tensor high = x.narrow(-1, half, half);
  const at::Tensor rest = x.narrow(-1, 2 * half, head_dim - 2 * half);
  const at::Tensor cos = cos_TF.unsqueeze(1);
  const at::Tensor sin = sin_TF.unsqueeze(1);
  const at::Tensor rotated =
      at::cat({low * cos - high * sin, high * cos + low * sin, rest}, /*dim=*/-1);
  return rotated.to(x_THE.scalar_type()).transpose(0, 1);
}

void rope_in_place(at::Tensor& x_THE, const at::Tensor& cos_TF, const at::Tensor& sin_TF,
                   std::int64_t heads) {
  call_for_dtype(x_THE, [&](auto element) {
    using Element = decltype(element);
    kernels::rope(mutable_elements<Element>(x_THE), elements<float>(cos_TF),
                  elements<float>(sin_TF), x_THE.size(0), heads, x_THE.size(1) / heads,
                  2 * cos_TF.size(1));
  });
}

at::Tensor split_heads(const at::Tensor& x_THE, std::int64_t heads) {
  return x_THE.view({x_THE.size(0), heads, x_THE.size(1) / heads}).transpose(0, 1);
}

at::Tensor gated_mul(const at::Tensor& gate_TF, const at::Tensor& up_TF, Activation activation,
                     Mode mode) {
  if (mode != Mode::kInference) {
    return (activation == Activation::kSilu
                ? at::silu(gate_TF)
                : at::gelu(gate_TF, activation == Activation::kGelu ? "none" : "tanh")) *
           up_TF;
  }
  at::Tensor out = gate_TF;
  call_for_dtype(gate_TF, [&](auto element) {
    using Element = decltype(element);
    auto* gate = mutable_elements<Element>(out);
    const auto* up = elements<Element>(up_TF);
    const auto multiply = activation == Activation::kSilu   ? kernels::silu_mul<Element>
                          : activation == Activation::kGelu ? kernels::gelu_mul<Element>
                                                            : kernels::gelu_tanh_mul<Element>;
    multiply(gate, up, gate_TF.size(0), gate_TF.size(1));
  });
  return out;
}

}  // namespace charm::engine
