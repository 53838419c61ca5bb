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

/// `packed` keeps its memory.
template <typename Element>
void pack(const Tensor& weight_OI, const Tensor& bias_O, PackedWeight& packed) {
  packed = PackedWeight::pack(weight_OI.data<Element>(), data_or_null<Element>(bias_O),
                              weight_OI.rows(), weight_OI.cols(), packed.release());
}

/// Packed for input gradients; weights with the same inputs, stacked.
template <typename Element>
void pack_transposed(std::initializer_list<const Tensor*> weights_OI, PackedWeight& packed) {
  std::vector<std::pair<const Element*, std::int64_t>> parts;
  for (const Tensor* weight : weights_OI)
    parts.emplace_back(weight->data<Element>(), weight->rows());
  packed = PackedWeight::pack_transposed<Element>(parts, (*weights_OI.begin())->cols(),
                                                  packed.release());
}

/// A linear layer's masters.
struct LayerWeights {
  const Tensor &weight_OI, &bias_O;
};

template <typename Element>
void pack_mlp(const LayerWeights& gate, const LayerWeights& up, const LayerWeights& down,
              bool backward, TrainingMlp& mlp) {
  const Tensor gate_FD = rounded<Element>(gate.weight_OI), up_FD = rounded<Element>(up.weight_OI),
               down_DF = rounded<Element>(down.weight_OI);
  pack<Element>(gate_FD, rounded<Element>(gate.bias_O), mlp.gate);
  pack<Element>(up_FD, rounded<Element>(up.bias_O), mlp.up);
  pack<Element>(down_DF, rounded<Element>(down.bias_O), mlp.down);
  if (!backward) return;
  pack_transposed<Element>({&gate_FD, &up_FD}, mlp.gate_up_t);
  pack_transposed<Element>({&down_DF}, mlp.down_t);
}

}  // namespace

template <typename Element>
void pack_training_layers(const BlockWeights& weights, bool backward, TrainingLayers& layers) {
  const Tensor q_HED = rounded<Element>(weights.q_HED), k_KED = rounded<Element>(weights.k_KED),
               v_KED = rounded<Element>(weights.v_KED), o_DHE = rounded<Element>(weights.o_DHE);
  pack<Element>(q_HED, rounded<Element>(weights.q_bias), layers.q);
  pack<Element>(k_KED, rounded<Element>(weights.k_bias), layers.k);
  pack<Element>(v_KED, rounded<Element>(weights.v_bias), layers.v);
  pack<Element>(o_DHE, rounded<Element>(weights.o_bias), layers.o);
  if (backward) {
    pack_transposed<Element>({&q_HED, &k_KED, &v_KED}, layers.qkv_t);
    pack_transposed<Element>({&o_DHE}, layers.o_t);
  }
  if (weights.experts.empty()) {
    pack_mlp<Element>({weights.gate_FD, weights.gate_bias}, {weights.up_FD, weights.up_bias},
                      {weights.down_DF, weights.down_bias}, backward, layers.mlp);
    return;
  }
  const Tensor none;
  pack<float>(weights.router_XD, none, layers.router);
  if (backward) pack_transposed<float>({&weights.router_XD}, layers.router_t);
  layers.experts.resize(weights.experts.size());
  for (std::size_t e = 0; e < weights.experts.size(); ++e) {
    const ExpertWeights& expert = weights.experts[e];
    pack_mlp<Element>({expert.gate_FD, none}, {expert.up_FD, none}, {expert.down_DF, none},
                      backward, layers.experts[e]);
  }
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
  template void pack_training_layers<Element>(const BlockWeights&, bool, TrainingLayers&);        \
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
