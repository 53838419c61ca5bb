#include "charm/engine/head.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>

#include <optional>

#include "charm/base/check.h"
#include "charm/engine/kernel_call.h"

namespace charm::engine {

at::Tensor head_layer(const HeadLayer& layer, const at::Tensor& x_SI, Mode mode) {
  if (mode != Mode::kInference) {
    const auto bias = layer.bias_O.defined()
                          ? std::optional<at::Tensor>(layer.bias_O.to(at::kFloat))
                          : std::nullopt;
    return at::linear(x_SI, layer.weight_OI.to(at::kFloat), bias);
  }
  CHARM_CHECK(layer.weight_OI.scalar_type() == at::kFloat,
              "the head must be float32 in inference mode");
  at::Tensor out_SO = at::empty({x_SI.size(0), layer.weight_OI.size(0)}, x_SI.options());
  kernels::head_layer(elements<float>(x_SI), elements<float>(layer.weight_OI),
                      layer.bias_O.defined() ? elements<float>(layer.bias_O) : nullptr,
                      mutable_elements<float>(out_SO), x_SI.size(0), x_SI.size(1),
                      layer.weight_OI.size(0));
  return out_SO;
}

at::Tensor head_layers(at::Tensor x_SD, std::span<const HeadLayer> layers, Mode mode) {
  for (const HeadLayer& layer : layers) {
    if (&layer != layers.data()) x_SD = x_SD.clamp_min(0);
    x_SD = head_layer(layer, x_SD, mode);
  }
  return x_SD;
}

at::Tensor norm_and_head(const at::Tensor& x_SD, const at::Tensor& norm_weight_D,
                         std::span<const HeadLayer> layers, const NormConfig& config, Mode mode) {
  CHARM_CHECK(!layers.empty(), "this decoder has no head");
  return head_layers(rms_norm(x_SD.to(at::kFloat), norm_weight_D.to(at::kFloat), config, mode),
                     layers, mode)
      .squeeze(-1);
}

}  // namespace charm::engine
