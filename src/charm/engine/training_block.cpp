#include "charm/engine/training_block.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "charm/base/error.h"
#include "charm/engine/ops.h"
#include "charm/kernels/kernels.h"

namespace charm::engine {
namespace {

// T packed tokens, Q query rows, S responses, D model width, H query heads, K key/value heads, E
// head width, F MLP width.

template <typename Element>
void copy_rows(const Element* from, Element* to, std::int64_t elements) {
  if (from != to) std::memcpy(to, from, static_cast<std::size_t>(elements) * sizeof(Element));
}

}  // namespace

template <typename Element>
TrainingBlock<Element>::TrainingBlock(const DecoderConfig& config, std::size_t layer,
                                      BlockWeights weights, BlockWeights gradients)
    : config_(config),
      attention_shape_(attention_shape(config.num_heads, config.num_kv_heads, config.head_dim,
                                       attention_config(config, layer))),
      rope_(rope_index(config, layer)),
      weights_(std::move(weights)),
      gradients_(std::move(gradients)) {
  refresh();
}

template <typename Element>
void TrainingBlock<Element>::refresh() {
  layers_ = TrainingLayers();  // freed before the new ones are packed
  layers_ = pack_training_layers<Element>(weights_, is_trainable());
}

template <typename Element>
const Element* TrainingBlock<Element>::norm(const Element* x, const Tensor& weight_D,
                                            std::int64_t rows, TrainingBuffer& to) const {
  if (!weight_D.defined()) return x;
  auto* out = to.take<Element>(rows * width());
  kernels::rms_norm_rows<Element>({x, width()}, weight_D.data<float>(), norm_offset(), eps(),
                                  {out, width()}, rows, /*heads=*/1, width());
  return out;
}

template <typename Element>
void TrainingBlock<Element>::project(const Pass& pass) const {
  const std::int64_t tokens = pass.batch.num_tokens();
  SavedActivations& saved = pass.saved;
  auto* q = saved.q.take<Element>(tokens * q_width());
  auto* k = saved.k.take<Element>(tokens * kv_width());
  auto* v = saved.v.take<Element>(tokens * kv_width());
  auto* q_in = weights_.q_norm_E.defined() ? saved.q_in.take<Element>(tokens * q_width()) : q;
  auto* k_in = weights_.k_norm_E.defined() ? saved.k_in.take<Element>(tokens * kv_width()) : k;
  const RopeTable& rope = pass.batch.ropes.at(rope_);
  const std::int64_t half = rope.cos_TF.cols();
  const auto finish = [&](const Element* in, Element* out, const Tensor& norm_E,
                          std::int64_t values, const RowTile& tile) {
    const std::int64_t at = tile.begin * values;
    if (norm_E.defined()) {
      kernels::rms_norm_rows<Element>({in + at, values}, norm_E.data<float>(), norm_offset(), eps(),
                                      {out + at, values}, tile.count, values / norm_E.numel(),
                                      norm_E.numel());
    }
    kernels::rope_rows<Element>({out + at, values}, rope.cos_TF.data<float>() + tile.begin * half,
                                rope.sin_TF.data<float>() + tile.begin * half, tile.count,
                                values / config_.head_dim, config_.head_dim, 2 * half,
                                /*inverse=*/false);
  };
  for (const RowTile& tile : pass.batch.all.tiles) {
    const Element* normed = norm(pass.x_TD + tile.begin * width(), weights_.input_norm_D,
                                 tile.count, pass.workspace.normed);
    const kernels::GemmOutput<Element> outputs[] = {
        {&layers_.q, q_in + tile.begin * q_width(), q_width()},
        {&layers_.k, k_in + tile.begin * kv_width(), kv_width()},
        {&layers_.v, v + tile.begin * kv_width(), kv_width()}};
    kernels::gemm<Element>(normed, width(), tile.count, outputs);
    finish(q_in, q, weights_.q_norm_E, q_width(), tile);
    finish(k_in, k, weights_.k_norm_E, kv_width(), tile);
  }
}

template <typename Element>
const Element* TrainingBlock<Element>::query_rows(const Pass& pass) const {
  SavedActivations& saved = pass.saved;
  const auto* q = saved.q.get<Element>();
  if (!pass.is_last()) return q;
  auto* q_last = saved.q_last.take<Element>(pass.rows.count * q_width());
  for (std::int64_t s = 0; s < pass.rows.count; ++s) {
    const std::int64_t token = pass.batch.last_S[static_cast<std::size_t>(s)];
    copy_rows(q + token * q_width(), q_last + s * q_width(), q_width());
  }
  return q_last;
}

template <typename Element>
void TrainingBlock<Element>::add_branch(const kernels::PackedWeight& layer, const Element* x,
                                        const Tensor& norm_D, const Element* residual, Element* y,
                                        Element* branch, std::int64_t rows,
                                        TrainingWorkspace& workspace) const {
  if (norm_D.defined()) {
    apply(layer, x, rows, branch);
    add_normed(branch, norm_D, residual, y, rows, workspace);
    return;
  }
  copy_rows(residual, y, rows * width());
  apply(layer, x, rows, y, /*add=*/true);
}

template <typename Element>
void TrainingBlock<Element>::add_normed(const Element* branch, const Tensor& norm_D,
                                        const Element* residual, Element* y, std::int64_t rows,
                                        TrainingWorkspace& workspace) const {
  const Element* added = norm(branch, norm_D, rows, workspace.d_normed);
  copy_rows(residual, y, rows * width());
  kernels::add(y, added, rows * width());
}

template <typename Element>
void TrainingBlock<Element>::attention_forward(const Pass& pass) const {
  project(pass);
  SavedActivations& saved = pass.saved;
  const QueryRows& rows = pass.rows;
  const Element* queries = query_rows(pass);
  auto* attended = saved.attended.take<Element>(rows.count * q_width());
  auto* middle = saved.middle.take<Element>(rows.count * width());
  const kernels::LogSumExp log_sum_exp{
      saved.log_sum_exp.take<float>(rows.count * config_.num_heads), rows.count};
  const kernels::PackedKv<Element> keys(head_rows(saved.k.get<Element>(), config_.num_kv_heads),
                                        head_rows(saved.v.get<Element>(), config_.num_kv_heads),
                                        rows.sequences, attention_shape_,
                                        pass.workspace.packed_kv.memory());
  kernels::attention<Element>(head_rows(queries, config_.num_heads), keys, attended, rows.sequences,
                              attention_shape_, log_sum_exp);
  const Tensor& out_norm = weights_.attention_out_norm_D;
  auto* branch =
      out_norm.defined() ? saved.attention_out.take<Element>(rows.count * width()) : nullptr;
  if (pass.is_last()) {
    for (std::int64_t s = 0; s < rows.count; ++s) {
      const std::int64_t token = pass.batch.last_S[static_cast<std::size_t>(s)];
      copy_rows(pass.x_TD + token * width(), middle + s * width(), width());
    }
  }
  for (const RowTile& tile : rows.tiles) {
    const std::int64_t at = tile.begin * width();
    const Element* residual = (pass.is_last() ? middle : pass.x_TD) + at;
    add_branch(layers_.o, attended + tile.begin * q_width(), out_norm, residual, middle + at,
               branch == nullptr ? nullptr : branch + at, tile.count, pass.workspace);
  }
}

template <typename Element>
void TrainingBlock<Element>::mlp_tile(const Element* middle, Element* y,
                                      const MlpRows<Element>& mlp, Element* mlp_out,
                                      std::int64_t rows, TrainingWorkspace& workspace) const {
  const Element* normed = norm(middle, weights_.mlp_norm_D, rows, workspace.normed);
  const Tensor& out_norm = weights_.mlp_out_norm_D;
  if (layers_.experts.empty()) {
    mlp_hidden(layers_.mlp, config_.activation, normed, rows, mlp);
    add_branch(layers_.mlp.down, mlp.hidden, out_norm, middle, y, mlp_out, rows, workspace);
  } else if (out_norm.defined()) {
    experts_forward(normed, /*add=*/false, mlp_out, rows, workspace);
    add_normed(mlp_out, out_norm, middle, y, rows, workspace);
  } else {
    copy_rows(middle, y, rows * width());
    experts_forward(normed, /*add=*/true, y, rows, workspace);
  }
}

template <typename Element>
void TrainingBlock<Element>::forward(const Pass& pass, Element* y_QD) const {
  attention_forward(pass);
  SavedActivations& saved = pass.saved;
  TrainingWorkspace& workspace = pass.workspace;
  const bool store = saved.stored == Stored::kAll;
  const bool has_out_norm = weights_.mlp_out_norm_D.defined();
  const std::int64_t values = layers_.experts.empty() ? mlp_width() : 0;
  if (store) {
    saved.gate.take<Element>(pass.rows.count * values);
    saved.up.take<Element>(pass.rows.count * values);
    if (has_out_norm) saved.mlp_out.take<Element>(pass.rows.count * width());
  }
  const auto place = [&](TrainingBuffer& stored, TrainingBuffer& tile_only, const RowTile& tile,
                         std::int64_t row_values) {
    return store ? stored.get<Element>() + tile.begin * row_values
                 : tile_only.take<Element>(tile.count * row_values);
  };
  for (const RowTile& tile : pass.rows.tiles) {
    const std::int64_t at = tile.begin * width();
    const MlpRows<Element> mlp{.gate = place(saved.gate, workspace.gate, tile, values),
                               .up = place(saved.up, workspace.up, tile, values),
                               .hidden = workspace.hidden.take<Element>(tile.count * values)};
    mlp_tile(saved.middle.get<Element>() + at, y_QD + at, mlp,
             has_out_norm ? place(saved.mlp_out, workspace.branch, tile, width()) : nullptr,
             tile.count, workspace);
  }
}

template class TrainingBlock<float>;
template class TrainingBlock<BFloat16>;

ActivationBytes activation_bytes(const DecoderConfig& config, std::int64_t tokens,
                                 std::size_t element_bytes) {
  // As SavedActivations; norms after attention and MLP, and QK-norm, keep what they normalise.
  const auto width = static_cast<double>(config.hidden_size);
  const auto q = static_cast<double>(config.num_heads * config.head_dim);
  const auto kv = static_cast<double>(config.num_kv_heads * config.head_dim);
  const auto mlp = config.experts ? 0.0 : static_cast<double>(config.intermediate_size);
  const auto bytes = static_cast<double>(element_bytes) * static_cast<double>(tokens);
  const double log_sum_exp = 4.0 * static_cast<double>(config.num_heads * tokens);
  return {.input = bytes * width,
          .attention = bytes * (3 * q + 3 * kv + 2 * width) + log_sum_exp,
          .mlp = bytes * (2 * mlp + width)};
}

std::vector<Stored> plan_activations(const DecoderConfig& config, std::int64_t first_block,
                                     std::int64_t tokens, std::size_t element_bytes,
                                     double limit_bytes) {
  const ActivationBytes block = activation_bytes(config, tokens, element_bytes);
  const std::int64_t last = config.num_layers - 1;
  std::vector<Stored> stored(static_cast<std::size_t>(config.num_layers), Stored::kInput);
  stored.back() = Stored::kAll;  // of few rows beside its keys and values
  // The last block's memory, and that of one recomputed block.
  double used =
      block.input * static_cast<double>(config.num_layers - first_block) + 2 * block.attention;
  if (limit_bytes > 0.0 && used > limit_bytes) {
    constexpr double kGiB = 1 << 30;
    throw Error(
        ErrorKind::kResource,
        "--activation-gib {:.3g}: a batch of {} tokens takes {:.3g} GiB even if every layer "
        "is recomputed; raise it, lower --budget-tokens or --max-tokens, or set it to 0 for "
        "no limit",
        limit_bytes / kGiB, tokens, used / kGiB);
  }
  const auto store = [&](Stored what, double bytes) {
    for (std::int64_t layer = last - 1; layer >= first_block; --layer) {
      if (used + bytes > limit_bytes) return;
      used += bytes;
      stored[static_cast<std::size_t>(layer)] = what;
    }
  };
  store(Stored::kAttention, block.attention);
  store(Stored::kAll, block.mlp);
  return stored;
}

}  // namespace charm::engine
