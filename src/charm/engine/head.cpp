#include "charm/engine/head.h"

#include <algorithm>

#include "charm/base/check.h"
#include "charm/engine/model_config.h"
#include "charm/kernels/row_gradients.h"
#include "charm/kernels/thread_pool.h"

namespace charm::engine {
namespace {

constexpr std::int64_t kMinOutputs = 16;  ///< per thread

float norm_offset_of(const DecoderConfig& config) { return config.norms_add_one ? 1.0f : 0.0f; }
float norm_eps_of(const DecoderConfig& config) { return static_cast<float>(config.rms_norm_eps); }

Tensor relu(const Tensor& x) {
  Tensor out = x.clone();
  auto* values = out.mutable_data<float>();
  for (std::int64_t i = 0; i < out.numel(); ++i) values[i] = std::max(values[i], 0.0f);
  return out;
}

/// dW += dz^T x and db += sum of dz.
void add_head_gradients(const Tensor& dz_SO, const Tensor& x_SI, HeadLayer& gradient) {
  const std::int64_t rows = x_SI.rows(), inputs = x_SI.cols(), outputs = dz_SO.cols();
  const auto* dz = dz_SO.data<float>();
  const auto* x = x_SI.data<float>();
  auto* dw = gradient.weight_OI.mutable_data<float>();
  auto* db = gradient.bias_O.defined() ? gradient.bias_O.mutable_data<float>() : nullptr;
  kernels::parallel_for_ranges(outputs, kMinOutputs, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t o = begin; o < end; ++o) {
      for (std::int64_t s = 0; s < rows; ++s) {
        const float d = dz[s * outputs + o];
        for (std::int64_t i = 0; i < inputs; ++i) dw[o * inputs + i] += d * x[s * inputs + i];
        if (db != nullptr) db[o] += d;
      }
    }
  });
}

/// dx = dz W.
Tensor input_gradient(const Tensor& dz_SO, const Tensor& weight_OI) {
  const std::int64_t rows = dz_SO.rows(), outputs = dz_SO.cols(), inputs = weight_OI.cols();
  Tensor dx_SI = Tensor::zeros({rows, inputs}, DType::kFloat32);
  const auto* dz = dz_SO.data<float>();
  const auto* w = weight_OI.data<float>();
  auto* dx = dx_SI.mutable_data<float>();
  kernels::parallel_for_ranges(rows, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t s = begin; s < end; ++s) {
      for (std::int64_t o = 0; o < outputs; ++o) {
        const float d = dz[s * outputs + o];
        for (std::int64_t i = 0; i < inputs; ++i) dx[s * inputs + i] += d * w[o * inputs + i];
      }
    }
  });
  return dx_SI;
}

}  // namespace

Tensor head_layer(const HeadLayer& layer, const Tensor& x_SI) {
  CHARM_CHECK(x_SI.cols() == layer.weight_OI.cols(), "{} inputs for a head's layer of {}",
              x_SI.cols(), layer.weight_OI.cols());
  Tensor out_SO = Tensor::empty({x_SI.rows(), layer.weight_OI.rows()}, DType::kFloat32);
  kernels::head_layer(x_SI.data<float>(), layer.weight_OI.data<float>(),
                      data_or_null<float>(layer.bias_O), out_SO.mutable_data<float>(), x_SI.rows(),
                      x_SI.cols(), layer.weight_OI.rows());
  return out_SO;
}

Tensor head_layers(Tensor x_SI, std::span<const HeadLayer> layers) {
  CHARM_CHECK(!layers.empty(), "this decoder has no head");
  for (const HeadLayer& layer : layers) {
    if (&layer != layers.data()) {
      float* values = x_SI.mutable_data<float>();
      for (std::int64_t i = 0; i < x_SI.numel(); ++i)
        values[i] = values[i] < 0.0F ? 0.0F : values[i];
    }
    x_SI = head_layer(layer, x_SI);
  }
  return x_SI;
}

HeadActivations head_forward(const DecoderConfig& config, const HeadParts& head,
                             const Tensor& x_SD) {
  CHARM_CHECK(!head.layers.empty(), "this decoder has no head");
  const std::int64_t rows = x_SD.rows(), width = x_SD.cols();
  Tensor x = Tensor::empty({rows, width}, DType::kFloat32);
  kernels::rms_norm_rows<float>({x_SD.data<float>(), width}, head.norm_D.data<float>(),
                                norm_offset_of(config), norm_eps_of(config),
                                {x.mutable_data<float>(), width}, rows, /*heads=*/1, width);
  HeadActivations activations;
  for (std::size_t i = 0; i < head.layers.size(); ++i) {
    if (i > 0) x = relu(x);
    activations.inputs.push_back(x);
    x = head_layer(head.layers[i], x);
  }
  activations.scores_S.assign(x.data<float>(), x.data<float>() + rows);
  return activations;
}

Tensor head_backward(const DecoderConfig& config, const HeadParts& head, const Tensor& x_SD,
                     const HeadActivations& activations, std::span<const float> gradient_S,
                     HeadParts& gradients) {
  const std::int64_t rows = x_SD.rows(), width = x_SD.cols();
  Tensor d = Tensor::of(std::vector<float>(gradient_S.begin(), gradient_S.end()), {rows, 1});
  for (std::size_t i = head.layers.size(); i-- > 0;) {
    const Tensor& input = activations.inputs[i];
    add_head_gradients(d, input, gradients.layers[i]);
    d = input_gradient(d, head.layers[i].weight_OI);
    if (i == 0) continue;
    auto* values = d.mutable_data<float>();
    const auto* out = input.data<float>();
    for (std::int64_t n = 0; n < d.numel(); ++n) values[n] = out[n] > 0.0f ? values[n] : 0.0f;
  }
  const kernels::NormRows<float> norm{.x = {x_SD.data<float>(), width},
                                      .dy = {d.data<float>(), width},
                                      .weight = head.norm_D.data<float>(),
                                      .weight_offset = norm_offset_of(config),
                                      .eps = norm_eps_of(config),
                                      .rows = rows,
                                      .heads = 1,
                                      .width = width};
  kernels::add_norm_weight_gradient(norm, gradients.norm_D.mutable_data<float>());
  kernels::rms_norm_backward(norm, kernels::Rows<float>{d.mutable_data<float>(), width},
                             /*add=*/false);
  return d;
}

}  // namespace charm::engine
