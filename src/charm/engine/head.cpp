#include "charm/engine/head.h"

#include "charm/base/check.h"
#include "charm/kernels/kernels.h"

namespace charm::engine {

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

}  // namespace charm::engine
