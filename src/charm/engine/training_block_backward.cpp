#include <algorithm>
#include <vector>

#include "charm/engine/training_block.h"

namespace charm::engine {

template <typename Element>
void TrainingBlock<Element>::norm_backward(const Tensor& norm, Tensor& gradient,
                                           kernels::Rows<const Element> x,
                                           kernels::Rows<const Element> dy,
                                           kernels::Rows<Element> dx, std::int64_t rows,
                                           std::int64_t heads, bool add) const {
  const kernels::NormRows<Element> operands{.x = x,
                                            .dy = dy,
                                            .weight = norm.data<float>(),
                                            .weight_offset = norm_offset(),
                                            .eps = eps(),
                                            .rows = rows,
                                            .heads = heads,
                                            .width = norm.numel()};
  kernels::add_norm_weight_gradient(operands, gradient.mutable_data<float>());
  kernels::rms_norm_backward(operands, dx, add);
}

template <typename Element>
const Element* TrainingBlock<Element>::branch_gradient(const Element* dy, const Element* branch,
                                                       const Tensor& norm_D, Tensor& gradient_D,
                                                       std::int64_t rows,
                                                       TrainingBuffer& to) const {
  if (!norm_D.defined()) return dy;
  auto* d_branch = to.take<Element>(rows * width());
  norm_backward(norm_D, gradient_D, {branch, width()}, {dy, width()}, {d_branch, width()}, rows,
                /*heads=*/1, /*add=*/false);
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
  norm_backward(norm_D, gradient_D, {x, width()}, {d_normed, width()}, {dx, width()}, rows,
                /*heads=*/1, /*add=*/true);
}

template <typename Element>
void TrainingBlock<Element>::backward(const Pass& pass, Element* dy_QD, Element* dx_TD) {
  if (pass.saved.stored == Stored::kInput) attention_forward(pass);
  for (const RowTile& tile : pass.rows.tiles) mlp_backward(pass, tile, dy_QD);
  attention_backward(pass, dy_QD, dx_TD);
}

/// dy becomes the gradient of the MLP's input, the residual's included.
template <typename Element>
void TrainingBlock<Element>::mlp_backward(const Pass& pass, const RowTile& tile, Element* dy_QD) {
  SavedActivations& saved = pass.saved;
  TrainingWorkspace& workspace = pass.workspace;
  const bool stored = saved.stored == Stored::kAll, dense = layers_.experts.empty();
  const std::int64_t rows = tile.count, at = tile.begin * width();
  const auto* middle = saved.middle.get<Element>() + at;
  Element* dy = dy_QD + at;
  const Element* normed = norm(middle, weights_.mlp_norm_D, rows, workspace.normed);

  MlpRows<Element> mlp;
  if (dense) {
    const std::int64_t values = mlp_width();
    mlp.hidden = workspace.hidden.take<Element>(rows * values);
    if (stored) {
      mlp.gate = saved.gate.get<Element>() + tile.begin * values;
      mlp.up = saved.up.get<Element>() + tile.begin * values;
      kernels::gate_rows(mlp.gate, mlp.up, config_.activation, mlp.hidden, rows, values);
    } else {
      mlp.gate = workspace.gate.take<Element>(rows * values);
      mlp.up = workspace.up.take<Element>(rows * values);
      mlp_hidden(layers_.mlp, config_.activation, normed, rows, mlp);
    }
  }
  const Element* branch = nullptr;
  if (weights_.mlp_out_norm_D.defined() && dense && stored) {
    branch = saved.mlp_out.get<Element>() + at;
  } else if (weights_.mlp_out_norm_D.defined()) {
    auto* again = workspace.branch.take<Element>(rows * width());
    if (dense) {
      apply(layers_.mlp.down, mlp.hidden, rows, again);
    } else {
      experts_forward(normed, /*add=*/false, again, rows, workspace);
    }
    branch = again;
  }
  const Element* d_branch = branch_gradient(dy, branch, weights_.mlp_out_norm_D,
                                            gradients_.mlp_out_norm_D, rows, workspace.d_branch);
  auto* d_normed = workspace.d_normed.take<Element>(rows * width());
  if (dense) {
    BlockWeights& g = gradients_;
    gated_mlp_backward(layers_.mlp, config_.activation,
                       {&g.gate_FD, &g.up_FD, &g.down_DF, &g.gate_bias, &g.up_bias, &g.down_bias},
                       normed, mlp, d_branch, d_normed, tile.runs, workspace);
  } else {
    experts_backward(normed, d_branch, d_normed, rows, workspace);
  }
  add_norm_gradient(middle, d_normed, weights_.mlp_norm_D, gradients_.mlp_norm_D, dy, rows);
}

template <typename Element>
void TrainingBlock<Element>::attention_backward(const Pass& pass, Element* dy_QD, Element* dx_TD) {
  const QueryRows& rows = pass.rows;
  SavedActivations& saved = pass.saved;
  TrainingWorkspace& workspace = pass.workspace;
  const bool last = pass.is_last();
  const auto* attended = saved.attended.get<Element>();
  auto* d_attended = workspace.d_attended.take<Element>(rows.count * q_width());
  const Tensor& out_norm = weights_.attention_out_norm_D;
  const auto* branch = out_norm.defined() ? saved.attention_out.get<Element>() : nullptr;
  for (const RowTile& tile : rows.tiles) {
    const std::int64_t at = tile.begin * width(), at_q = tile.begin * q_width();
    const Element* d_branch =
        branch_gradient(dy_QD + at, branch == nullptr ? nullptr : branch + at, out_norm,
                        gradients_.attention_out_norm_D, tile.count, workspace.d_branch);
    add_layer_gradients<Element>(
        {{{d_branch, width()}, &gradients_.o_DHE, &gradients_.o_bias, &workspace.panels_a}},
        attended + at_q, q_width(), tile.runs, workspace.panels_x);
    apply(layers_.o_t, d_branch, tile.count, d_attended + at_q);
  }

  const std::int64_t tokens = pass.batch.num_tokens(), stride = q_width() + 2 * kv_width();
  auto* d_qkv = workspace.d_qkv.take<Element>(tokens * stride);
  auto* dq_last = last ? workspace.dq_last.take<Element>(rows.count * q_width()) : nullptr;
  const auto* queries = last ? saved.q_last.get<Element>() : saved.q.get<Element>();
  kernels::attention_backward<Element>(
      {.q = head_rows(queries, config_.num_heads),
       .k = head_rows(saved.k.get<Element>(), config_.num_kv_heads),
       .v = head_rows(saved.v.get<Element>(), config_.num_kv_heads),
       .out = head_rows(attended, config_.num_heads),
       .d_out = head_rows(d_attended, config_.num_heads),
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
      const std::int64_t token = pass.batch.last_S[static_cast<std::size_t>(s)];
      std::copy_n(dq_last + s * q_width(), q_width(), d_qkv + token * stride);
      std::copy_n(dy_QD + s * width(), width(), dx_TD + token * width());
    }
  }
  projections_backward(pass, d_qkv, dx_TD);
}

template <typename Element>
void TrainingBlock<Element>::projections_backward(const Pass& pass, Element* d_qkv,
                                                  Element* dx_TD) {
  SavedActivations& saved = pass.saved;
  TrainingWorkspace& workspace = pass.workspace;
  const std::int64_t stride = q_width() + 2 * kv_width();
  const RopeTable& rope = pass.batch.ropes.at(rope_);
  const std::int64_t half = rope.cos_TF.cols();
  const auto norm_heads_backward = [&](const Tensor& weight, Tensor& gradient, TrainingBuffer& in,
                                       std::int64_t values, Element* dy, const RowTile& tile) {
    if (!weight.defined()) return;
    norm_backward(weight, gradient, {in.get<Element>() + tile.begin * values, values}, {dy, stride},
                  {dy, stride}, tile.count, values / weight.numel(), /*add=*/false);
  };
  for (const RowTile& tile : pass.batch.all.tiles) {
    Element* dq = d_qkv + tile.begin * stride;
    Element* dk = dq + q_width();
    kernels::rope_rows<Element>({dq, stride}, rope.cos_TF.data<float>() + tile.begin * half,
                                rope.sin_TF.data<float>() + tile.begin * half, tile.count,
                                config_.num_heads + config_.num_kv_heads, config_.head_dim,
                                2 * half, /*inverse=*/true);
    norm_heads_backward(weights_.q_norm_E, gradients_.q_norm_E, saved.q_in, q_width(), dq, tile);
    norm_heads_backward(weights_.k_norm_E, gradients_.k_norm_E, saved.k_in, kv_width(), dk, tile);
    const Element* x = pass.x_TD + tile.begin * width();
    const Element* normed = norm(x, weights_.input_norm_D, tile.count, workspace.normed);
    add_layer_gradients<Element>(
        {{{dq, stride}, &gradients_.q_HED, &gradients_.q_bias, &workspace.panels_a},
         {{dk, stride}, &gradients_.k_KED, &gradients_.k_bias, &workspace.panels_b},
         {{dk + kv_width(), stride}, &gradients_.v_KED, &gradients_.v_bias, &workspace.panels_c}},
        normed, width(), tile.runs, workspace.panels_x);
    auto* d_normed = workspace.d_normed.take<Element>(tile.count * width());
    apply(layers_.qkv_t, dq, tile.count, d_normed);
    add_norm_gradient(x, d_normed, weights_.input_norm_D, gradients_.input_norm_D,
                      dx_TD + tile.begin * width(), tile.count);
  }
}

template void TrainingBlock<float>::backward(const Pass&, float*, float*);
template void TrainingBlock<BFloat16>::backward(const Pass&, BFloat16*, BFloat16*);

}  // namespace charm::engine
