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

template <typename Element>
void add_layer_gradients(std::initializer_list<LayerGradient<Element>> layers, const Element* x,
                         std::int64_t inputs, const std::vector<kernels::RowRun>& runs,
                         TrainingBuffer& panels_x) {
  const std::int64_t rows = runs.back().begin + runs.back().length;
  const auto packed_x = kernels::RowPanels::pack(x, inputs, inputs, runs, panels_x.memory());
  std::vector<kernels::RowPanels> packed;
  packed.reserve(layers.size());  // pointers into it stay valid
  std::vector<kernels::WeightGradient> products;
  for (const LayerGradient<Element>& layer : layers) {
    const std::int64_t outputs = layer.weight_OI->rows();
    packed.push_back(kernels::RowPanels::pack(layer.dy.data, layer.dy.stride, outputs, runs,
                                              layer.panels->memory()));
    products.push_back({&packed.back(), layer.weight_OI->template mutable_data<float>()});
    if (layer.bias_O != nullptr && layer.bias_O->defined())
      kernels::add_column_sums<Element>(layer.dy, rows, outputs,
                                        layer.bias_O->template mutable_data<float>());
  }
  kernels::add_weight_gradients(products, packed_x);
}

template <typename Element>
void mlp_hidden(const TrainingMlp& mlp, Activation activation, const Element* x, std::int64_t rows,
                const MlpRows<Element>& to) {
  const std::int64_t values = mlp.gate.outputs();
  const kernels::GemmOutput<Element> outputs[] = {{&mlp.gate, to.gate, values},
                                                  {&mlp.up, to.up, values}};
  kernels::gemm<Element>(x, mlp.gate.inputs(), rows, outputs);
  kernels::gate_rows(to.gate, to.up, activation, to.hidden, rows, values);
}

template <typename Element>
void gated_mlp_backward(const TrainingMlp& mlp, Activation activation,
                        const MlpGradients& gradients, const Element* x,
                        const MlpRows<Element>& values, const Element* dy, Element* dx,
                        const std::vector<kernels::RowRun>& runs, TrainingWorkspace& workspace) {
  const std::int64_t rows = runs.back().begin + runs.back().length;
  const std::int64_t model_width = mlp.gate.inputs(), mlp_width = mlp.gate.outputs();
  add_layer_gradients<Element>(
      {{{dy, model_width}, gradients.down_DF, gradients.down_bias, &workspace.panels_a}},
      values.hidden, mlp_width, runs, workspace.panels_x);
  auto* d_hidden = workspace.d_hidden.take<Element>(rows * mlp_width);
  apply(mlp.down_t, dy, rows, d_hidden);
  auto* d_gate_up = workspace.d_gate_up.take<Element>(rows * 2 * mlp_width);
  kernels::gate_backward(values.gate, values.up, d_hidden, activation, d_gate_up, rows, mlp_width);
  add_layer_gradients<Element>(
      {{{d_gate_up, 2 * mlp_width}, gradients.gate_FD, gradients.gate_bias, &workspace.panels_a},
       {{d_gate_up + mlp_width, 2 * mlp_width},
        gradients.up_FD,
        gradients.up_bias,
        &workspace.panels_b}},
      x, model_width, runs, workspace.panels_x);
  apply(mlp.gate_up_t, d_gate_up, rows, dx);
}

#define CHARM_TRAINING_LAYERS_FOR(Element)                                                        \
  template TrainingLayers pack_training_layers<Element>(const BlockWeights&, bool);               \
  template void add_layer_gradients<Element>(                                                     \
      std::initializer_list<LayerGradient<Element>>, const Element*, std::int64_t,                \
      const std::vector<kernels::RowRun>&, TrainingBuffer&);                                      \
  template void mlp_hidden<Element>(const TrainingMlp&, Activation, const Element*, std::int64_t, \
                                    const MlpRows<Element>&);                                     \
  template void gated_mlp_backward<Element>(                                                      \
      const TrainingMlp&, Activation, const MlpGradients&, const Element*,                        \
      const MlpRows<Element>&, const Element*, Element*, const std::vector<kernels::RowRun>&,     \
      TrainingWorkspace&);
CHARM_TRAINING_LAYERS_FOR(float)
CHARM_TRAINING_LAYERS_FOR(BFloat16)
#undef CHARM_TRAINING_LAYERS_FOR

}  // namespace charm::engine
