#include "charm/engine/cpu_block.h"

#include <algorithm>
#include <vector>

#include "charm/engine/ops.h"
#include "charm/kernels/attention.h"

namespace charm::engine {
namespace {

using Slot = BlockWorkspace::Slot;

/// Rows per tile: enough to keep all threads busy, few enough for the CPU caches.
constexpr std::int64_t kTileRows = 768;

/// The sequences restricted to rows `begin` .. `begin + rows`, counted from `begin`.
std::vector<kernels::AttentionSequence> rows_of(
    const std::vector<kernels::AttentionSequence>& sequences, std::int64_t begin,
    std::int64_t rows) {
  std::vector<kernels::AttentionSequence> parts;
  for (kernels::AttentionSequence part : sequences) {
    const std::int64_t first = std::max(part.query_begin, begin);
    const std::int64_t end = std::min(part.query_begin + part.query_length, begin + rows);
    if (first >= end) continue;
    part.query_offset += first - part.query_begin;
    part.query_length = end - first;
    part.query_begin = first - begin;
    parts.push_back(part);
  }
  return parts;
}

/// One forward pass of a block.
class BlockPass {
 public:
  BlockPass(const CpuBlock& block, const BatchLayout& layout, BlockRows rows,
            BlockWorkspace& workspace, CachedPrefix& prefix, const Tensor& x_TD)
      : block_(block),
        layout_(layout),
        workspace_(workspace),
        prefix_(prefix),
        dtype_(x_TD.dtype()),
        last_(rows == BlockRows::kLast),
        width_(x_TD.cols()) {
    const RopeTable& rope = layout.ropes.at(block.rope);
    query_cos_TF_ = last_ ? select_rows(rope.cos_TF, layout.last_S) : rope.cos_TF;
    query_sin_TF_ = last_ ? select_rows(rope.sin_TF, layout.last_S) : rope.sin_TF;
  }

  template <typename Element>
  void run(const Tensor& x_TD, Tensor& residual) {
    const std::int64_t kv_width = block_.num_kv_heads * block_.head_dim;
    const std::int64_t num_keys = layout_.num_computed_tokens + x_TD.rows();
    Tensor k_TKE, v_TKE;
    if (block_.shares_kv) {
      k_TKE = workspace_.kept(block_.keys, num_keys, kv_width);
      v_TKE = workspace_.kept(block_.values, num_keys, kv_width);
    } else {
      k_TKE = workspace_.take(block_.keys, num_keys, kv_width, dtype_);
      v_TKE = workspace_.take(block_.values, num_keys, kv_width, dtype_);
      keys_and_values(x_TD, k_TKE, v_TKE);
    }
    if (layout_.cache != nullptr) {
      layout_.cache->store(block_.layer, k_TKE, v_TKE, layout_.cached);
      finish_rows(residual, 0, residual.rows(), [&](const Tensor& q_THE, Tensor& attended) {
        layout_.cache->attend(block_.layer, q_THE, last_ ? layout_.cached_last : layout_.cached,
                              block_.attention, attended);
      });
      return;
    }
    const kernels::AttentionShape shape =
        attention_shape(block_.num_heads, block_.num_kv_heads, block_.head_dim, block_.attention);
    const std::vector<kernels::AttentionSequence> sequences =
        attention_sequences(layout_, last_ ? BlockRows::kLast : BlockRows::kAll);
    const kernels::PackedKv<Element> keys(head_rows<Element>(k_TKE, block_.num_kv_heads),
                                          head_rows<Element>(v_TKE, block_.num_kv_heads), sequences,
                                          shape, workspace_.packed_kv());
    for (std::int64_t row = 0; row < residual.rows(); row += kTileRows) {
      const std::int64_t rows = std::min(kTileRows, residual.rows() - row);
      finish_rows(residual, row, rows, [&](const Tensor& q_THE, Tensor& attended) {
        kernels::attention<Element>(head_rows<Element>(q_THE, block_.num_heads), keys,
                                    attended.mutable_data<Element>(), rows_of(sequences, row, rows),
                                    shape);
      });
    }
  }

  /// The same with a gated delta net. `residual` is x itself where every row is wanted.
  void run_delta_net(const Tensor& x_TD, Tensor& residual) {
    DeltaNetPass pass(*block_.delta_net, block_.layer, layout_, workspace_, prefix_);
    Tensor last = last_ ? workspace_.take(Slot::kQueries, residual.rows(),
                                          block_.delta_net->shape.values(), dtype_)
                        : Tensor();
    for (std::int64_t row = 0; row < x_TD.rows(); row += kTileRows) {
      Tensor tile = x_TD.narrow(row, std::min(kTileRows, x_TD.rows() - row));
      const Tensor mixed = pass.forward(norm(tile, block_.input_norm_D));
      if (last_) {
        gather_last(mixed, row, last);
      } else {
        add_mixed(tile, mixed, row);
      }
    }
    pass.finish();
    if (!last_) return;
    for (std::int64_t row = 0; row < residual.rows(); row += kTileRows) {
      const std::int64_t rows = std::min(kTileRows, residual.rows() - row);
      Tensor tile = residual.narrow(row, rows);
      add_mixed(tile, last.narrow(row, rows), row);
    }
  }

 private:
  /// Copies the responses' last tokens from the rows that begin at `row`.
  void gather_last(const Tensor& mixed, std::int64_t row, Tensor& last) const {
    for (std::size_t s = 0; s < layout_.last_S.size(); ++s) {
      const std::int64_t at = layout_.last_S[s] - row;
      if (at < 0 || at >= mixed.rows()) continue;
      last.narrow(static_cast<std::int64_t>(s), 1).copy_from(mixed.narrow(at, 1));
    }
  }

  /// Everything after K and V for a tile of rows; `attend` fills the second tensor from queries
  /// [rows, H*E].
  template <typename Attend>
  void finish_rows(const Tensor& residual, std::int64_t row, std::int64_t rows,
                   const Attend& attend) {
    Tensor tile = residual.narrow(row, rows);
    const Tensor q_THE = queries(tile, row);
    Tensor attended = workspace_.take(Slot::kAttended, rows, q_THE.cols(), dtype_);
    attend(q_THE, attended);
    if (gates_THE_.defined()) sigmoid_mul(attended, gates_THE_);
    add_mixed(tile, attended, row);
  }

  /// Everything after attention, or what stands in its place, for a tile of rows.
  void add_mixed(Tensor& tile, const Tensor& attended, std::int64_t row) {
    add_branch(tile, block_.o, attended, block_.attention_out_norm_D);
    add_mlp(tile);
    if (block_.per_layer)
      add_per_layer_input(*block_.per_layer, ids_of(row, tile.rows()), workspace_, tile);
    if (block_.output_scale != 1.0F) scale(tile, block_.output_scale);
  }

  /// Ids of the tokens of query rows.
  std::vector<std::int64_t> ids_of(std::int64_t row, std::int64_t rows) const {
    std::vector<std::int64_t> ids;
    for (std::int64_t i = row; i < row + rows; ++i) {
      const std::int64_t token = last_ ? layout_.last_S[static_cast<std::size_t>(i)] : i;
      ids.push_back(layout_.ids_T[static_cast<std::size_t>(token)]);
    }
    return ids;
  }

  void add_mlp(Tensor& tile) {
    const Tensor normed = norm(tile, block_.mlp_norm_D);
    if (block_.experts) {
      add_experts(tile, normed);
      return;
    }
    Tensor hidden = workspace_.take(Slot::kHidden, tile.rows(), block_.gated.outputs(), dtype_);
    project(normed, {&block_.gated, hidden});
    add_branch(tile, block_.down, hidden, block_.mlp_out_norm_D);
  }

  /// tile += norm(experts(x)), or tile += experts(x).
  void add_experts(Tensor& tile, const Tensor& x) {
    if (!block_.mlp_out_norm_D.defined()) {
      mix_experts(*block_.experts, x, /*add=*/true, workspace_, tile);
      return;
    }
    Tensor branch = workspace_.take(Slot::kBranch, tile.rows(), width_, dtype_);
    mix_experts(*block_.experts, x, /*add=*/false, workspace_, branch);
    rms_norm(branch, block_.mlp_out_norm_D, block_.norm, branch);
    add_to(tile, branch);
  }

  Tensor norm(const Tensor& x, const Tensor& weight_D) {
    if (!weight_D.defined()) return x;
    Tensor normed = workspace_.take(Slot::kNormed, x.rows(), x.cols(), dtype_);
    rms_norm(x, weight_D, block_.norm, normed);
    return normed;
  }

  void keys_and_values(const Tensor& x_TD, Tensor& k_TKE, Tensor& v_TKE) {
    if (layout_.num_computed_tokens > 0) {
      k_TKE.narrow(0, layout_.num_computed_tokens).copy_from(prefix_.keys.at(block_.layer));
      v_TKE.narrow(0, layout_.num_computed_tokens).copy_from(prefix_.values.at(block_.layer));
    }
    const RopeTable& rope = layout_.ropes.at(block_.rope);
    for (std::int64_t row = 0; row < x_TD.rows(); row += kTileRows) {
      const std::int64_t rows = std::min(kTileRows, x_TD.rows() - row);
      const auto tile = [&](const Tensor& t) { return t.narrow(row, rows); };
      Tensor k = k_TKE.narrow(layout_.num_computed_tokens + row, rows);
      Tensor v = v_TKE.narrow(layout_.num_computed_tokens + row, rows);
      std::vector<Projection> to = {{&block_.k, k}};
      if (block_.v.defined()) to.push_back({&block_.v, v});
      if (!last_ && rows == x_TD.rows()) {  // a single tile: q is projected together with k and v
        queries_THE_ = take_queries(rows, to);
      }
      project(norm(tile(x_TD), block_.input_norm_D), to);
      if (!block_.v.defined()) v.copy_from(k);
      norm_heads(v, block_.v_norm_E, block_.norm);
      norm_heads(k, block_.k_norm_E, block_.norm);
      apply_rope(k, tile(rope.cos_TF), tile(rope.sin_TF), block_.num_kv_heads);
      if (queries_THE_.defined()) finish_queries(queries_THE_, row);
    }
    if (layout_.prefix_to_cache.empty() || layout_.prefix_to_cache == prefix_.ids)
      return;  // cached already
    const auto prompt = [&](const Tensor& t) {
      return t
          .narrow(layout_.prefix_to_cache_begin,
                  static_cast<std::int64_t>(layout_.prefix_to_cache.size()))
          .clone();
    };
    if (prefix_.keys.size() <= block_.layer) {
      prefix_.keys.resize(block_.layer + 1);
      prefix_.values.resize(block_.layer + 1);
    }
    prefix_.keys[block_.layer] = prompt(k_TKE);
    prefix_.values[block_.layer] = prompt(v_TKE);
  }

  Tensor queries(const Tensor& x, std::int64_t row) {
    if (queries_THE_.defined()) return queries_THE_;
    std::vector<Projection> to;
    Tensor q = take_queries(x.rows(), to);
    project(norm(x, block_.input_norm_D), to);
    finish_queries(q, row);
    return q;
  }

  /// Memory of queries, and of gates of attention's output; adds their projections.
  Tensor take_queries(std::int64_t rows, std::vector<Projection>& to) {
    const std::int64_t width = block_.num_heads * block_.head_dim;
    const Tensor q_THE = workspace_.take(Slot::kQueries, rows, width, dtype_);
    to.push_back({&block_.q, q_THE});
    if (block_.output_gate.defined()) {
      gates_THE_ = workspace_.take(Slot::kOutputGate, rows, width, dtype_);
      to.push_back({&block_.output_gate, gates_THE_});
    }
    return q_THE;
  }

  void finish_queries(Tensor& q_THE, std::int64_t row) const {
    norm_heads(q_THE, block_.q_norm_E, block_.norm);
    apply_rope(q_THE, query_cos_TF_.narrow(row, q_THE.rows()),
               query_sin_TF_.narrow(row, q_THE.rows()), block_.num_heads);
  }

  /// tile += norm(linear(x)), or tile += linear(x).
  void add_branch(Tensor& tile, const Linear& linear, const Tensor& x, const Tensor& norm_D) {
    if (!norm_D.defined()) {
      project(x, {&linear, tile, /*add=*/true});
      return;
    }
    Tensor branch = workspace_.take(Slot::kBranch, tile.rows(), width_, dtype_);
    project(x, {&linear, branch});
    rms_norm(branch, norm_D, block_.norm, branch);
    add_to(tile, branch);
  }

  const CpuBlock& block_;
  const BatchLayout& layout_;
  BlockWorkspace& workspace_;
  CachedPrefix& prefix_;
  DType dtype_;
  bool last_;
  std::int64_t width_;
  Tensor query_cos_TF_, query_sin_TF_;  ///< RoPE table rows of the query rows
  Tensor queries_THE_;                  ///< defined where projected together with k and v
  Tensor gates_THE_;                    ///< of the queries' rows; undefined: none
};

}  // namespace

Tensor CpuBlock::forward(Tensor& x_TD, const BatchLayout& layout, BlockRows rows,
                         BlockWorkspace& workspace, CachedPrefix& prefix) const {
  Tensor residual = rows == BlockRows::kLast ? select_rows(x_TD, layout.last_S) : x_TD;
  BlockPass pass(*this, layout, rows, workspace, prefix, x_TD);
  if (delta_net) {
    pass.run_delta_net(x_TD, residual);
    return residual;
  }
  call_for_dtype(x_TD, [&](auto element) { pass.run<decltype(element)>(x_TD, residual); });
  return residual;
}

}  // namespace charm::engine
