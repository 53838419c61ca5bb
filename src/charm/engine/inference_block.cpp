#include <ATen/TensorOperators.h>

#include <algorithm>
#include <vector>

#include "charm/engine/decoder_block.h"
#include "charm/engine/kernel_call.h"
#include "charm/engine/kv_cache.h"
#include "charm/engine/ops.h"
#include "charm/kernels/attention.h"

namespace charm::engine {
namespace {

using Slot = BlockWorkspace::Slot;

/// Rows per tile: enough to keep all threads busy, few enough for the CPU caches.
constexpr std::int64_t kTileRows = 768;

/// Query rows in output order: all computed tokens of prompts and responses, or the responses' last
/// tokens.
std::vector<kernels::AttentionSequence> sequences_of(const BatchLayout& layout, BlockRows rows) {
  std::vector<kernels::AttentionSequence> sequences;
  if (rows == BlockRows::kAll) {
    for (const Segment& s : layout.prompts) {
      const kernels::KeySpan suffix{s.response_begin, s.response_length};
      sequences.push_back({suffix.begin - layout.num_computed_tokens, suffix.length,
                           /*query_offset=*/0,
                           /*prefix=*/{}, suffix});
    }
  }
  for (std::size_t i = 0; i < layout.responses.size(); ++i) {
    const Segment& s = layout.responses[i];
    const kernels::KeySpan prefix{s.prompt_begin, s.prompt_length};
    const kernels::KeySpan suffix{s.response_begin, s.response_length};
    if (rows == BlockRows::kAll) {
      sequences.push_back({suffix.begin - layout.num_computed_tokens, suffix.length,
                           /*query_offset=*/0, prefix, suffix});
    } else {
      sequences.push_back(
          {static_cast<std::int64_t>(i), /*query_length=*/1, suffix.length - 1, prefix, suffix});
    }
  }
  return sequences;
}

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

/// [T, heads * E] as [heads, T, E].
at::Tensor by_head(const at::Tensor& x_THE, std::int64_t heads) {
  return x_THE.view({x_THE.size(0), heads, x_THE.size(1) / heads}).transpose(0, 1);
}

class InferenceBlock {
 public:
  InferenceBlock(const BlockParts& parts, const BatchLayout& layout, BlockRows rows,
                 BlockWorkspace& workspace, std::int64_t width, const at::TensorOptions& options)
      : parts_(parts),
        layout_(layout),
        workspace_(workspace),
        options_(options),
        last_(rows == BlockRows::kLast),
        width_(width) {
    const RopeTable& rope = layout.ropes.at(parts.rope);
    query_cos_TF_ = last_ ? rope.cos_TF.index_select(0, layout.last_S) : rope.cos_TF;
    query_sin_TF_ = last_ ? rope.sin_TF.index_select(0, layout.last_S) : rope.sin_TF;
  }

  template <typename Element>
  void run(const at::Tensor& x_TD, at::Tensor& residual) {
    const std::int64_t kv_width = parts_.num_kv_heads * head_dim();
    const std::int64_t num_keys = layout_.num_computed_tokens + x_TD.size(0);
    at::Tensor k_TKE = workspace_.take(Slot::kKeys, num_keys, kv_width, options_);
    at::Tensor v_TKE = workspace_.take(Slot::kValues, num_keys, kv_width, options_);
    keys_and_values(x_TD, k_TKE, v_TKE);
    const at::Tensor k_KTE = by_head(k_TKE, parts_.num_kv_heads);
    const at::Tensor v_KTE = by_head(v_TKE, parts_.num_kv_heads);
    if (layout_.cache != nullptr) {
      layout_.cache->store(parts_.layer, k_KTE, v_KTE, layout_.cached);
      finish_rows(
          residual, 0, residual.size(0), [&](const at::Tensor& q_THE, at::Tensor& attended) {
            attended.copy_(layout_.cache->attend(parts_.layer, by_head(q_THE, parts_.num_heads),
                                                 last_ ? layout_.cached_last : layout_.cached,
                                                 parts_.attention));
          });
      return;
    }
    const kernels::AttentionShape shape =
        attention_shape(parts_.num_heads, parts_.num_kv_heads, head_dim(), parts_.attention);
    const std::vector<kernels::AttentionSequence> sequences =
        sequences_of(layout_, last_ ? BlockRows::kLast : BlockRows::kAll);
    const kernels::PackedKv<Element> keys(head_rows<Element>(k_KTE), head_rows<Element>(v_KTE),
                                          sequences, shape, workspace_.packed_kv());
    for (std::int64_t row = 0; row < residual.size(0); row += kTileRows) {
      const std::int64_t rows = std::min(kTileRows, residual.size(0) - row);
      finish_rows(residual, row, rows, [&](const at::Tensor& q_THE, at::Tensor& attended) {
        kernels::attention<Element>(head_rows<Element>(by_head(q_THE, parts_.num_heads)), keys,
                                    mutable_elements<Element>(attended),
                                    rows_of(sequences, row, rows), shape);
      });
    }
  }

 private:
  std::int64_t head_dim() const { return parts_.head_dim; }

  /// Everything after K and V for a tile of rows; `attend` fills the second tensor from queries
  /// [rows, H*E].
  template <typename Attend>
  void finish_rows(const at::Tensor& residual, std::int64_t row, std::int64_t rows,
                   const Attend& attend) {
    at::Tensor tile = residual.narrow(0, row, rows);
    const at::Tensor q_THE = queries(tile, row);
    at::Tensor attended = workspace_.take(Slot::kAttended, rows, q_THE.size(1), options_);
    attend(q_THE, attended);
    add_branch(tile, parts_.o, attended, parts_.attention_out_norm_D);
    const at::Tensor normed = norm(tile, parts_.mlp_norm_D);
    if (parts_.experts) {
      add_experts(tile, normed);
      return;
    }
    at::Tensor hidden = workspace_.take(Slot::kHidden, rows, parts_.gated.outputs(), options_);
    parts_.gated.forward_into(normed, hidden);
    add_branch(tile, parts_.down, hidden, parts_.mlp_out_norm_D);
  }

  /// tile += norm(experts(x)), or tile += experts(x).
  void add_experts(at::Tensor& tile, const at::Tensor& x) {
    if (!parts_.mlp_out_norm_D.defined()) {
      mix_experts_into(*parts_.experts, x, /*add=*/true, workspace_, tile);
      return;
    }
    at::Tensor branch = workspace_.take(Slot::kBranch, tile.size(0), width_, options_);
    mix_experts_into(*parts_.experts, x, /*add=*/false, workspace_, branch);
    rms_norm_into(branch, parts_.mlp_out_norm_D, parts_.norm, branch);
    tile.add_(branch);
  }

  at::Tensor norm(const at::Tensor& x, const at::Tensor& weight_D) {
    if (!weight_D.defined()) return x;
    at::Tensor normed = workspace_.take(Slot::kNormed, x.size(0), x.size(1), options_);
    rms_norm_into(x, weight_D, parts_.norm, normed);
    return normed;
  }

  void norm_heads(at::Tensor& x_THE, const at::Tensor& weight_E) const {
    if (!weight_E.defined()) return;
    at::Tensor heads = x_THE.view({-1, weight_E.size(0)});
    rms_norm_into(heads, weight_E, parts_.norm, heads);
  }

  void keys_and_values(const at::Tensor& x_TD, at::Tensor& k_TKE, at::Tensor& v_TKE) {
    CachedPrefix& prefix = workspace_.cached_prefix();
    if (layout_.num_computed_tokens > 0) {
      k_TKE.narrow(0, 0, layout_.num_computed_tokens).copy_(prefix.keys.at(parts_.layer));
      v_TKE.narrow(0, 0, layout_.num_computed_tokens).copy_(prefix.values.at(parts_.layer));
    }
    const RopeTable& rope = layout_.ropes.at(parts_.rope);
    for (std::int64_t row = 0; row < x_TD.size(0); row += kTileRows) {
      const std::int64_t rows = std::min(kTileRows, x_TD.size(0) - row);
      const auto tile = [&](const at::Tensor& t) { return t.narrow(0, row, rows); };
      at::Tensor k = k_TKE.narrow(0, layout_.num_computed_tokens + row, rows);
      std::vector<Projection> to = {
          {&parts_.k, k}, {&parts_.v, v_TKE.narrow(0, layout_.num_computed_tokens + row, rows)}};
      if (!last_ && rows == x_TD.size(0)) {  // a single tile: q is projected together with k and v
        queries_THE_ =
            workspace_.take(Slot::kQueries, rows, parts_.num_heads * head_dim(), options_);
        to.push_back({&parts_.q, queries_THE_});
      }
      project(norm(tile(x_TD), parts_.input_norm_D), to);
      norm_heads(k, parts_.k_norm_E);
      rope_in_place(k, tile(rope.cos_TF), tile(rope.sin_TF), parts_.num_kv_heads);
      if (queries_THE_.defined()) finish_queries(queries_THE_, row);
    }
    if (layout_.prefix_to_cache.empty() || layout_.prefix_to_cache == prefix.ids)
      return;  // cached already
    const auto prompt = [&](const at::Tensor& t) {
      return t
          .narrow(0, layout_.prefix_to_cache_begin,
                  static_cast<std::int64_t>(layout_.prefix_to_cache.size()))
          .clone();
    };
    if (prefix.keys.size() <= parts_.layer) {
      prefix.keys.resize(parts_.layer + 1);
      prefix.values.resize(parts_.layer + 1);
    }
    prefix.keys[parts_.layer] = prompt(k_TKE);
    prefix.values[parts_.layer] = prompt(v_TKE);
  }

  at::Tensor queries(const at::Tensor& x, std::int64_t row) {
    if (queries_THE_.defined()) return queries_THE_;
    at::Tensor q =
        workspace_.take(Slot::kQueries, x.size(0), parts_.num_heads * head_dim(), options_);
    const Projection to[] = {{&parts_.q, q}};
    project(norm(x, parts_.input_norm_D), to);
    finish_queries(q, row);
    return q;
  }

  void finish_queries(at::Tensor& q_THE, std::int64_t row) const {
    norm_heads(q_THE, parts_.q_norm_E);
    rope_in_place(q_THE, query_cos_TF_.narrow(0, row, q_THE.size(0)),
                  query_sin_TF_.narrow(0, row, q_THE.size(0)), parts_.num_heads);
  }

  /// tile += norm(linear(x)), or tile += linear(x).
  void add_branch(at::Tensor& tile, const Linear& linear, const at::Tensor& x,
                  const at::Tensor& norm_D) {
    if (!norm_D.defined()) {
      const Projection to[] = {{&linear, tile, /*add=*/true}};
      project(x, to);
      return;
    }
    at::Tensor branch = workspace_.take(Slot::kBranch, tile.size(0), width_, options_);
    const Projection to[] = {{&linear, branch}};
    project(x, to);
    rms_norm_into(branch, norm_D, parts_.norm, branch);
    tile.add_(branch);
  }

  const BlockParts& parts_;
  const BatchLayout& layout_;
  BlockWorkspace& workspace_;
  at::TensorOptions options_;
  bool last_;
  std::int64_t width_;
  at::Tensor query_cos_TF_, query_sin_TF_;  ///< RoPE table rows of the query rows
  at::Tensor queries_THE_;                  ///< defined where projected together with k and v
};

}  // namespace

at::Tensor infer_block(const BlockParts& parts, at::Tensor& x_TD, const BatchLayout& layout,
                       BlockRows rows, BlockWorkspace& workspace) {
  at::Tensor residual = rows == BlockRows::kLast ? x_TD.index_select(0, layout.last_S) : x_TD;
  InferenceBlock block(parts, layout, rows, workspace, x_TD.size(1), x_TD.options());
  call_for_dtype(x_TD, [&](auto element) { block.run<decltype(element)>(x_TD, residual); });
  return residual;
}

}  // namespace charm::engine
