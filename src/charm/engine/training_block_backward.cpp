#include <algorithm>
#include <cstring>
#include <vector>

#include "charm/engine/training_block.h"
#include "charm/kernels/elementwise.h"
#include "charm/kernels/weight_gradient.h"

namespace charm::engine {

template <typename Element>
void add_layer_gradients(std::initializer_list<LayerGradient<Element>> layers,
                         const kernels::Rows<const Element>& x, std::int64_t inputs,
                         const std::vector<kernels::RowRun>& runs, TrainingBuffer& panels_x) {
  const std::int64_t rows = runs.back().begin + runs.back().length;
  const auto packed_x = kernels::RowPanels::pack(x.data, x.stride, inputs, runs, panels_x.memory());
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
void TrainingBlock<Element>::norm_backward(const Element* x, const Element* dy,
                                           const Tensor& norm_D, Tensor& gradient_D, Element* dx,
                                           std::int64_t rows, bool add) const {
  const kernels::NormRows<Element> norm{.x = {x, width()},
                                        .dy = {dy, width()},
                                        .weight = norm_D.data<float>(),
                                        .weight_offset = norm_offset(),
                                        .eps = eps(),
                                        .rows = rows,
                                        .heads = 1,
                                        .width = width()};
  kernels::add_norm_weight_gradient(norm, gradient_D.mutable_data<float>());
  kernels::rms_norm_backward(norm, kernels::Rows<Element>{dx, width()}, add);
}

template <typename Element>
const Element* TrainingBlock<Element>::branch_gradient(const Element* dy, const Element* branch,
                                                       const Tensor& norm_D, Tensor& gradient_D,
                                                       std::int64_t rows,
                                                       TrainingBuffer& to) const {
  if (!norm_D.defined()) return dy;
  auto* d_branch = to.take<Element>(rows * width());
  norm_backward(branch, dy, norm_D, gradient_D, d_branch, rows, /*add=*/false);
  return d_branch;
}

template <typename Element>
void TrainingBlock<Element>::add_norm_gradient(const Element* x, const Element* d_normed,
                                               const Tensor& norm_D, Tensor& gradient_D,
                                               Element* dx, std::int64_t rows) const {
  if (!norm_D.defined()) {
    kernels::add(dx, d_normed, rows * width());
    return;
  }
  norm_backward(x, d_normed, norm_D, gradient_D, dx, rows, /*add=*/true);
}

template <typename Element>
void TrainingBlock<Element>::backward(const TrainingBatch& batch, const QueryRows& rows,
                                      const Element* x_TD, Element* dy_QD, Element* dx_TD,
                                      SavedActivations& saved, TrainingWorkspace& workspace) {
  if (saved.stored == Stored::kInput) attention_forward(batch, rows, x_TD, saved, workspace);
  for (const RowTile& tile : rows.tiles)
    mlp_backward(tile, dy_QD, saved, saved.stored == Stored::kAll, workspace);
  attention_backward(batch, rows, x_TD, dy_QD, dx_TD, saved, workspace);
}

/// dy becomes the gradient of the MLP's input, the residual's included.
template <typename Element>
void TrainingBlock<Element>::mlp_backward(const RowTile& tile, Element* dy_QD,
                                          SavedActivations& saved, bool stored,
                                          TrainingWorkspace& workspace) {
  const std::int64_t rows = tile.count, at = tile.begin * width();
  const auto* middle = saved.middle.get<Element>() + at;
  Element* dy = dy_QD + at;
  const Element* normed = norm(middle, weights_.mlp_norm_D, rows, workspace.normed);
  auto* d_normed = workspace.d_normed.take<Element>(rows * width());
  const Tensor& out_norm = weights_.mlp_out_norm_D;
  if (!layers_.experts.empty()) {
    const Element* branch = nullptr;
    if (out_norm.defined()) {
      auto* out = workspace.branch.take<Element>(rows * width());
      experts_forward(normed, /*add=*/false, out, rows, workspace);
      branch = out;
    }
    const Element* d_branch =
        branch_gradient(dy, branch, out_norm, gradients_.mlp_out_norm_D, rows, workspace.d_branch);
    experts_backward(normed, d_branch, d_normed, rows, workspace);
    add_norm_gradient(middle, d_normed, weights_.mlp_norm_D, gradients_.mlp_norm_D, dy, rows);
    return;
  }
  const std::int64_t values = mlp_width();
  const Element *gate, *up;
  if (stored) {
    gate = saved.gate.get<Element>() + tile.begin * values;
    up = saved.up.get<Element>() + tile.begin * values;
  } else {
    auto* gate_again = workspace.gate.take<Element>(rows * values);
    auto* up_again = workspace.up.take<Element>(rows * values);
    const kernels::GemmOutput<Element> outputs[] = {{&layers_.mlp.gate, gate_again, values},
                                                    {&layers_.mlp.up, up_again, values}};
    kernels::gemm<Element>(normed, width(), rows, outputs);
    gate = gate_again;
    up = up_again;
  }
  auto* hidden = workspace.hidden.take<Element>(rows * values);
  kernels::gate_rows(gate, up, config_.activation, hidden, rows, values);
  const Element* branch = nullptr;
  if (out_norm.defined() && stored) {
    branch = saved.mlp_out.get<Element>() + at;
  } else if (out_norm.defined()) {
    auto* again = workspace.branch.take<Element>(rows * width());
    const kernels::GemmOutput<Element> outputs[] = {{&layers_.mlp.down, again, width()}};
    kernels::gemm<Element>(hidden, values, rows, outputs);
    branch = again;
  }
  const Element* d_branch =
      branch_gradient(dy, branch, out_norm, gradients_.mlp_out_norm_D, rows, workspace.d_branch);
  add_layer_gradients<Element>(
      {{{d_branch, width()}, &gradients_.down_DF, &gradients_.down_bias, &workspace.panels_a}},
      {hidden, values}, values, tile.runs, workspace.panels_x);
  auto* d_hidden = workspace.d_hidden.take<Element>(rows * values);
  const kernels::GemmOutput<Element> to_hidden[] = {{&layers_.mlp.down_t, d_hidden, values}};
  kernels::gemm<Element>(d_branch, width(), rows, to_hidden);
  auto* d_gate_up = workspace.d_gate_up.take<Element>(rows * 2 * values);
  kernels::gate_backward(gate, up, d_hidden, config_.activation, d_gate_up, rows, values);
  add_layer_gradients<Element>(
      {{{d_gate_up, 2 * values}, &gradients_.gate_FD, &gradients_.gate_bias, &workspace.panels_a},
       {{d_gate_up + values, 2 * values},
        &gradients_.up_FD,
        &gradients_.up_bias,
        &workspace.panels_b}},
      {normed, width()}, width(), tile.runs, workspace.panels_x);
  const kernels::GemmOutput<Element> to_normed[] = {{&layers_.mlp.gate_up_t, d_normed, width()}};
  kernels::gemm<Element>(d_gate_up, 2 * values, rows, to_normed);
  add_norm_gradient(middle, d_normed, weights_.mlp_norm_D, gradients_.mlp_norm_D, dy, rows);
}

template <typename Element>
void TrainingBlock<Element>::attention_backward(const TrainingBatch& batch, const QueryRows& rows,
                                                const Element* x_TD, Element* dy_QD, Element* dx_TD,
                                                SavedActivations& saved,
                                                TrainingWorkspace& workspace) {
  const bool last = is_last(batch, rows);
  const auto* attended = saved.attended.get<Element>();
  auto* d_attended = workspace.d_attended.take<Element>(rows.count * q_width());
  const auto* branch =
      weights_.attention_out_norm_D.defined() ? saved.attention_out.get<Element>() : nullptr;
  for (const RowTile& tile : rows.tiles) {
    const std::int64_t at = tile.begin * width();
    const Element* d_branch = branch_gradient(
        dy_QD + at, branch == nullptr ? nullptr : branch + at, weights_.attention_out_norm_D,
        gradients_.attention_out_norm_D, tile.count, workspace.d_branch);
    add_layer_gradients<Element>(
        {{{d_branch, width()}, &gradients_.o_DHE, &gradients_.o_bias, &workspace.panels_a}},
        {attended + tile.begin * q_width(), q_width()}, q_width(), tile.runs, workspace.panels_x);
    const kernels::GemmOutput<Element> outputs[] = {
        {&layers_.o_t, d_attended + tile.begin * q_width(), q_width()}};
    kernels::gemm<Element>(d_branch, width(), tile.count, outputs);
  }

  const std::int64_t tokens = batch.num_tokens(), stride = q_width() + 2 * kv_width();
  auto* d_qkv = workspace.d_qkv.take<Element>(tokens * stride);
  auto* dq_last = last ? workspace.dq_last.take<Element>(rows.count * q_width()) : nullptr;
  const std::int64_t dim = config_.head_dim;
  const auto heads = [&](const Element* data, std::int64_t count) {
    return kernels::HeadRows<Element>{data, dim, count * dim};
  };
  const auto* queries = last ? saved.q_last.get<Element>() : saved.q.get<Element>();
  kernels::attention_backward<Element>(
      {.q = heads(queries, config_.num_heads),
       .k = heads(saved.k.get<Element>(), config_.num_kv_heads),
       .v = heads(saved.v.get<Element>(), config_.num_kv_heads),
       .out = heads(attended, config_.num_heads),
       .d_out = heads(d_attended, config_.num_heads),
       .log_sum_exp = {saved.log_sum_exp.get<float>(), rows.count},
       .dq = last ? kernels::GradientRows<Element>{dq_last, q_width()}
                  : kernels::GradientRows<Element>{d_qkv, stride},
       .dk = {d_qkv + q_width(), stride},
       .dv = {d_qkv + q_width() + kv_width(), stride},
       .num_keys = tokens},
      rows.sequences, attention_shape_, workspace.attention);
  if (last) {  // all other rows have no gradient
    std::fill_n(dx_TD, tokens * width(), Element{});
    for (std::int64_t t = 0; t < tokens; ++t) std::fill_n(d_qkv + t * stride, q_width(), Element{});
    for (std::int64_t s = 0; s < rows.count; ++s) {
      const std::int64_t token = batch.last_S[static_cast<std::size_t>(s)];
      std::copy_n(dq_last + s * q_width(), q_width(), d_qkv + token * stride);
      std::copy_n(dy_QD + s * width(), width(), dx_TD + token * width());
    }
  }
  projections_backward(batch, x_TD, d_qkv, dx_TD, saved, workspace);
}

template <typename Element>
void TrainingBlock<Element>::projections_backward(const TrainingBatch& batch, const Element* x_TD,
                                                  Element* d_qkv, Element* dx_TD,
                                                  SavedActivations& saved,
                                                  TrainingWorkspace& workspace) {
  const std::int64_t stride = q_width() + 2 * kv_width();
  const RopeTable& rope = batch.ropes.at(rope_);
  const std::int64_t half = rope.cos_TF.cols();
  const auto norm_backward = [&](const Tensor& weight, Tensor& gradient, const Element* in,
                                 std::int64_t values, Element* dy, const RowTile& tile) {
    if (!weight.defined()) return;
    const kernels::NormRows<Element> norm{.x = {in + tile.begin * values, values},
                                          .dy = {dy, stride},
                                          .weight = weight.data<float>(),
                                          .weight_offset = norm_offset(),
                                          .eps = eps(),
                                          .rows = tile.count,
                                          .heads = norm_heads(weight, values),
                                          .width = weight.numel()};
    kernels::add_norm_weight_gradient(norm, gradient.mutable_data<float>());
    kernels::rms_norm_backward(norm, kernels::Rows<Element>{dy, stride}, /*add=*/false);
  };
  for (const RowTile& tile : batch.all.tiles) {
    Element* dq = d_qkv + tile.begin * stride;
    Element* dk = dq + q_width();
    kernels::rope_rows<Element>({dq, stride}, rope.cos_TF.data<float>() + tile.begin * half,
                                rope.sin_TF.data<float>() + tile.begin * half, tile.count,
                                config_.num_heads + config_.num_kv_heads, config_.head_dim,
                                2 * half, /*inverse=*/true);
    norm_backward(weights_.q_norm_E, gradients_.q_norm_E, saved.q_in.get<Element>(), q_width(), dq,
                  tile);
    norm_backward(weights_.k_norm_E, gradients_.k_norm_E, saved.k_in.get<Element>(), kv_width(), dk,
                  tile);
    const Element* x = x_TD + tile.begin * width();
    const Element* normed = norm(x, weights_.input_norm_D, tile.count, workspace.normed);
    add_layer_gradients<Element>(
        {{{dq, stride}, &gradients_.q_HED, &gradients_.q_bias, &workspace.panels_a},
         {{dk, stride}, &gradients_.k_KED, &gradients_.k_bias, &workspace.panels_b},
         {{dk + kv_width(), stride}, &gradients_.v_KED, &gradients_.v_bias, &workspace.panels_c}},
        {normed, width()}, width(), tile.runs, workspace.panels_x);
    auto* d_normed = workspace.d_normed.take<Element>(tile.count * width());
    const kernels::GemmOutput<Element> outputs[] = {{&layers_.qkv_t, d_normed, width()}};
    kernels::gemm<Element>(dq, stride, tile.count, outputs);
    add_norm_gradient(x, d_normed, weights_.input_norm_D, gradients_.input_norm_D,
                      dx_TD + tile.begin * width(), tile.count);
  }
}

#define CHARM_TRAINING_BLOCK_FOR(Element)                                                 \
  template void add_layer_gradients<Element>(                                             \
      std::initializer_list<LayerGradient<Element>>, const kernels::Rows<const Element>&, \
      std::int64_t, const std::vector<kernels::RowRun>&, TrainingBuffer&);                \
  template void TrainingBlock<Element>::backward(const TrainingBatch&, const QueryRows&,  \
                                                 const Element*, Element*, Element*,      \
                                                 SavedActivations&, TrainingWorkspace&);
CHARM_TRAINING_BLOCK_FOR(float)
CHARM_TRAINING_BLOCK_FOR(BFloat16)
#undef CHARM_TRAINING_BLOCK_FOR

}  // namespace charm::engine
