#include <type_traits>
#include <utility>

#include "charm/engine/training_block.h"
#include "charm/kernels/row_gradients.h"

namespace charm::engine {
namespace {

using kernels::PackedWeight;

/// A master weight as an element type; shares it where it is float32.
template <typename Element>
Tensor rounded(const Tensor& master) {
  if constexpr (std::is_same_v<Element, float>) {
    return master;
  } else {
    if (!master.defined()) return master;
    Tensor result = Tensor::empty(master.shape(), DType::kBFloat16);
    kernels::round_elements(master.data<float>(), result.mutable_data<BFloat16>(), master.numel());
    return result;
  }
}

template <typename Element>
PackedWeight pack(const Tensor& weight_OI, const Tensor& bias_O) {
  return PackedWeight::pack(weight_OI.data<Element>(), data_or_null<Element>(bias_O),
                            weight_OI.rows(), weight_OI.cols());
}

/// Packed for input gradients; weights with the same inputs, stacked.
template <typename Element>
PackedWeight pack_transposed(std::initializer_list<const Tensor*> weights_OI) {
  std::vector<std::pair<const Element*, std::int64_t>> parts;
  for (const Tensor* weight : weights_OI)
    parts.emplace_back(weight->data<Element>(), weight->rows());
  return PackedWeight::pack_transposed<Element>(parts, (*weights_OI.begin())->cols());
}

/// A layer of the masters, rounded.
template <typename Element>
struct Layer {
  Layer(const Tensor& weight_OI, const Tensor& bias_O)
      : weight(rounded<Element>(weight_OI)),
        packed(pack<Element>(weight, rounded<Element>(bias_O))) {}
  Tensor weight;
  PackedWeight packed;
};

template <typename Element>
TrainingMlp pack_mlp(Layer<Element> gate, Layer<Element> up, Layer<Element> down, bool backward) {
  TrainingMlp mlp;
  if (backward) {
    mlp.gate_up_t = pack_transposed<Element>({&gate.weight, &up.weight});
    mlp.down_t = pack_transposed<Element>({&down.weight});
  }
  mlp.gate = std::move(gate.packed);
  mlp.up = std::move(up.packed);
  mlp.down = std::move(down.packed);
  return mlp;
}

}  // namespace

template <typename Element>
TrainingLayers pack_training_layers(const BlockWeights& weights, bool backward) {
  TrainingLayers layers;
  Layer<Element> q(weights.q_HED, weights.q_bias), k(weights.k_KED, weights.k_bias),
      v(weights.v_KED, weights.v_bias), o(weights.o_DHE, weights.o_bias);
  if (backward) {
    layers.qkv_t = pack_transposed<Element>({&q.weight, &k.weight, &v.weight});
    layers.o_t = pack_transposed<Element>({&o.weight});
  }
  layers.q = std::move(q.packed);
  layers.k = std::move(k.packed);
  layers.v = std::move(v.packed);
  layers.o = std::move(o.packed);
  if (weights.experts.empty()) {
    layers.mlp =
        pack_mlp<Element>({weights.gate_FD, weights.gate_bias}, {weights.up_FD, weights.up_bias},
                          {weights.down_DF, weights.down_bias}, backward);
    return layers;
  }
  layers.router = pack<float>(weights.router_XD, Tensor());
  if (backward) layers.router_t = pack_transposed<float>({&weights.router_XD});
  for (const ExpertWeights& expert : weights.experts) {
    const Tensor none;
    layers.experts.push_back(pack_mlp<Element>({expert.gate_FD, none}, {expert.up_FD, none},
                                               {expert.down_DF, none}, backward));
  }
  return layers;
}

template TrainingLayers pack_training_layers<float>(const BlockWeights&, bool);
template TrainingLayers pack_training_layers<BFloat16>(const BlockWeights&, bool);

}  // namespace charm::engine
