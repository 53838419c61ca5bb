#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>

#include "charm/base/check.h"
#include "charm/engine/ops.h"

namespace charm::engine {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;

constexpr std::int64_t kRowsPerBlock = 64;

template <typename Body>
void dispatch(const at::Tensor& x, const Body& body) {
  if (x.scalar_type() == at::kFloat) {
    body(float{});
  } else {
    CHARM_CHECK(x.scalar_type() == at::kBFloat16, "training computes in float32 or bfloat16");
    body(c10::BFloat16{});
  }
}

/// body(first row, last row, block) for all rows in blocks, in parallel.
template <typename Body>
void for_blocks(std::int64_t rows, const Body& body) {
  at::parallel_for(0, (rows + kRowsPerBlock - 1) / kRowsPerBlock, /*grain_size=*/1,
                   [&](std::int64_t first, std::int64_t last) {
                     for (std::int64_t block = first; block < last; ++block) {
                       body(block * kRowsPerBlock, std::min(rows, (block + 1) * kRowsPerBlock),
                            block);
                     }
                   });
}

/// Sum of term(0) .. term(count - 1) in sixteen lanes, which the compiler vectorises.
template <typename Term>
float lane_sum(std::int64_t count, const Term& term) {
  constexpr std::int64_t kLanes = 16;
  float lanes[kLanes] = {};
  std::int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (std::int64_t lane = 0; lane < kLanes; ++lane) lanes[lane] += term(i + lane);
  }
  for (; i < count; ++i) lanes[i % kLanes] += term(i);
  float sum = 0.0f;
  for (const float lane : lanes) sum += lane;
  return sum;
}

struct RmsNorm : torch::autograd::Function<RmsNorm> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x_given,
                            const at::Tensor& weight_D, double eps, double offset) {
    const at::Tensor x_TD = x_given.contiguous();
    const std::int64_t rows = x_TD.size(0);
    const std::int64_t width = x_TD.size(1);
    const at::Tensor factor_D = (weight_D.to(at::kFloat) + offset).contiguous();
    const at::Tensor out_TD = at::empty_like(x_TD);
    const at::Tensor scale_T = at::empty({rows}, x_TD.options().dtype(at::kFloat));
    const float* factor = factor_D.const_data_ptr<float>();
    auto* scales = scale_T.mutable_data_ptr<float>();
    dispatch(x_TD, [&](auto element) {
      using Element = decltype(element);
      const auto* xs = x_TD.const_data_ptr<Element>();
      auto* outs = out_TD.mutable_data_ptr<Element>();
      for_blocks(rows, [&](std::int64_t begin, std::int64_t end, std::int64_t) {
        for (std::int64_t t = begin; t < end; ++t) {
          const Element* x = xs + t * width;
          Element* out = outs + t * width;
          const float squares = lane_sum(width, [&](std::int64_t i) {
            return static_cast<float>(x[i]) * static_cast<float>(x[i]);
          });
          const float scale =
              1.0f / std::sqrt(squares / static_cast<float>(width) + static_cast<float>(eps));
          scales[t] = scale;
          for (std::int64_t i = 0; i < width; ++i)
            out[i] = static_cast<Element>(factor[i] * (static_cast<float>(x[i]) * scale));
        }
      });
    });
    context->save_for_backward({x_TD, factor_D, scale_T});
    context->saved_data["weight_dtype"] = static_cast<std::int64_t>(weight_D.scalar_type());
    return out_TD;
  }

  static tensor_list backward(AutogradContext* context, const tensor_list& gradients) {
    const tensor_list saved = context->get_saved_variables();
    const at::Tensor& x_TD = saved[0];
    const std::int64_t rows = x_TD.size(0);
    const std::int64_t width = x_TD.size(1);
    const at::Tensor gradient_TD = gradients[0].contiguous();
    const at::Tensor dx_TD = at::empty_like(x_TD);
    const std::int64_t blocks = (rows + kRowsPerBlock - 1) / kRowsPerBlock;
    const at::Tensor dw_BD = at::zeros({blocks, width}, x_TD.options().dtype(at::kFloat));
    const float* factor = saved[1].const_data_ptr<float>();
    const float* scales = saved[2].const_data_ptr<float>();
    auto* dws = dw_BD.mutable_data_ptr<float>();
    dispatch(x_TD, [&](auto element) {
      using Element = decltype(element);
      const auto* xs = x_TD.const_data_ptr<Element>();
      const auto* dys = gradient_TD.const_data_ptr<Element>();
      auto* dxs = dx_TD.mutable_data_ptr<Element>();
      for_blocks(rows, [&](std::int64_t begin, std::int64_t end, std::int64_t block) {
        float* dw = dws + block * width;
        for (std::int64_t t = begin; t < end; ++t) {
          const Element* x = xs + t * width;
          const Element* dy = dys + t * width;
          Element* dx = dxs + t * width;
          const float scale = scales[t];
          const float sum = lane_sum(width, [&](std::int64_t i) {
            return static_cast<float>(dy[i]) * factor[i] * static_cast<float>(x[i]);
          });
          const float x_scale = sum / static_cast<float>(width) * scale * scale * scale;
          for (std::int64_t i = 0; i < width; ++i) {
            const auto xi = static_cast<float>(x[i]);
            const auto dyi = static_cast<float>(dy[i]);
            dw[i] += dyi * (xi * scale);
            dx[i] = static_cast<Element>(dyi * factor[i] * scale - xi * x_scale);
          }
        }
      });
    });
    const auto weight_dtype =
        static_cast<at::ScalarType>(context->saved_data["weight_dtype"].toInt());
    return {dx_TD, dw_BD.sum(/*dim=*/0).to(weight_dtype), at::Tensor(), at::Tensor()};
  }
};

/// Applies RoPE to x [T, H, E], or its inverse.
at::Tensor apply_rope(const at::Tensor& x_THE, const at::Tensor& cos_TF, const at::Tensor& sin_TF,
                      bool inverse) {
  const std::int64_t heads = x_THE.size(1);
  const std::int64_t half = cos_TF.size(1);
  const std::int64_t width = x_THE.size(2);
  const at::Tensor cos = cos_TF.contiguous();
  const at::Tensor sin = sin_TF.contiguous();
  at::Tensor out_THE = at::empty(x_THE.sizes(), x_THE.options());
  const float* coss = cos.const_data_ptr<float>();
  const float* sins = sin.const_data_ptr<float>();
  const float sign = inverse ? -1.0f : 1.0f;
  dispatch(x_THE, [&](auto element) {
    using Element = decltype(element);
    const auto* xs = x_THE.const_data_ptr<Element>();
    auto* outs = out_THE.mutable_data_ptr<Element>();
    for_blocks(x_THE.size(0), [&](std::int64_t begin, std::int64_t end, std::int64_t) {
      for (std::int64_t t = begin; t < end; ++t) {
        for (std::int64_t h = 0; h < heads; ++h) {
          const Element* low = xs + (t * heads + h) * width;
          Element* out = outs + (t * heads + h) * width;
          std::copy(low + 2 * half, low + width, out + 2 * half);
          for (std::int64_t f = 0; f < half; ++f) {
            const float c = coss[t * half + f];
            const float s = sign * sins[t * half + f];
            const auto x_low = static_cast<float>(low[f]);
            const auto x_high = static_cast<float>(low[half + f]);
            out[f] = static_cast<Element>(x_low * c - x_high * s);
            out[half + f] = static_cast<Element>(x_high * c + x_low * s);
          }
        }
      }
    });
  });
  return out_THE;
}

struct Rope : torch::autograd::Function<Rope> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x_THE,
                            const at::Tensor& cos_TF, const at::Tensor& sin_TF) {
    context->save_for_backward({cos_TF, sin_TF});
    return apply_rope(x_THE.contiguous(), cos_TF, sin_TF, /*inverse=*/false);
  }

  static tensor_list backward(AutogradContext* context, const tensor_list& gradients) {
    const tensor_list saved = context->get_saved_variables();
    return {apply_rope(gradients[0].contiguous(), saved[0], saved[1], /*inverse=*/true),
            at::Tensor(), at::Tensor()};
  }
};

}  // namespace

at::Tensor rms_norm_with_backward(const at::Tensor& x_TD, const at::Tensor& weight_D,
                                  const NormConfig& config) {
  return RmsNorm::apply(x_TD, weight_D, config.eps, config.weight_offset);
}

at::Tensor rope_with_backward(const at::Tensor& x_THE, const at::Tensor& cos_TF,
                              const at::Tensor& sin_TF, std::int64_t heads) {
  return Rope::apply(x_THE.view({x_THE.size(0), heads, x_THE.size(1) / heads}), cos_TF, sin_TF);
}

}  // namespace charm::engine
