#include "charm/nn/ops.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/silu.h>

#include "charm/base/check.h"
#include "charm/nn/kernel_call.h"

namespace charm::nn {

at::Tensor rms_norm(const at::Tensor& x_TD, const at::Tensor& weight_D, double eps, Mode mode) {
  if (mode == Mode::kAutograd) {
    const at::Tensor x = x_TD.to(at::kFloat);
    const at::Tensor scale = at::rsqrt((x * x).mean(/*dim=*/-1, /*keepdim=*/true) + eps);
    return (weight_D.to(at::kFloat) * (x * scale)).to(x_TD.scalar_type());
  }
  at::Tensor out = at::empty(x_TD.sizes(), x_TD.options());
  call_for_dtype(x_TD, [&](auto element) {
    using Element = decltype(element);
    kernels::rms_norm(elements<Element>(x_TD), elements<Element>(weight_D), static_cast<float>(eps),
                      mutable_elements<Element>(out), x_TD.size(0), x_TD.size(1));
  });
  return out;
}

at::Tensor rope_heads(const at::Tensor& x_THE, const at::Tensor& cos_TF, const at::Tensor& sin_TF, std::int64_t heads,
                      Mode mode) {
  const std::int64_t rows = x_THE.size(0);
  const std::int64_t head_dim = x_THE.size(1) / heads;
  if (mode == Mode::kAutograd) {
    const at::Tensor x = x_THE.view({rows, heads, head_dim}).to(at::kFloat);
    const at::Tensor low = x.narrow(-1, 0, head_dim / 2);
    const at::Tensor high = x.narrow(-1, head_dim / 2, head_dim / 2);
    const at::Tensor cos = cos_TF.unsqueeze(1);
    const at::Tensor sin = sin_TF.unsqueeze(1);
    const at::Tensor rotated = at::cat({low * cos - high * sin, high * cos + low * sin}, /*dim=*/-1);
    return rotated.to(x_THE.scalar_type()).transpose(0, 1);
  }
  at::Tensor out = at::empty({heads, rows, head_dim}, x_THE.options());
  call_for_dtype(x_THE, [&](auto element) {
    using Element = decltype(element);
    kernels::rope_heads(elements<Element>(x_THE), cos_TF.const_data_ptr<float>(), sin_TF.const_data_ptr<float>(),
                        mutable_elements<Element>(out), rows, heads, head_dim);
  });
  return out;
}

at::Tensor split_heads(const at::Tensor& x_THE, std::int64_t heads) {
  return x_THE.view({x_THE.size(0), heads, x_THE.size(1) / heads}).transpose(0, 1);
}

at::Tensor silu_mul(const at::Tensor& gate_TF, const at::Tensor& up_TF, Mode mode) {
  if (mode == Mode::kAutograd) return at::silu(gate_TF) * up_TF;
  at::Tensor out = gate_TF;
  call_for_dtype(gate_TF, [&](auto element) {
    using Element = decltype(element);
    kernels::silu_mul(mutable_elements<Element>(out), elements<Element>(up_TF), gate_TF.size(0), gate_TF.size(1));
  });
  return out;
}

at::Tensor norm_and_head(const at::Tensor& x_SD, const at::Tensor& norm_weight_D, const at::Tensor& head_1D, double eps,
                         Mode mode) {
  if (mode == Mode::kAutograd) {
    const at::Tensor normed = rms_norm(x_SD.to(at::kFloat), norm_weight_D, eps, mode);
    return at::linear(normed, head_1D.to(at::kFloat)).squeeze(-1);
  }
  CHARM_CHECK(head_1D.scalar_type() == at::kFloat, "the head must be float32 in inference mode");
  at::Tensor scores = at::empty({x_SD.size(0)}, x_SD.options().dtype(at::kFloat));
  call_for_dtype(x_SD, [&](auto element) {
    using Element = decltype(element);
    kernels::head_rows(elements<Element>(x_SD), elements<Element>(norm_weight_D), static_cast<float>(eps),
                       head_1D.const_data_ptr<float>(), scores.mutable_data_ptr<float>(), x_SD.size(0), x_SD.size(1));
  });
  return scores;
}

}  // namespace charm::nn
