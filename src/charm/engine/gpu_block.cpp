#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/rms_norm.h>
#include <ATen/ops/silu.h>

#include <optional>

#include "charm/engine/decoder_block.h"
#include "charm/engine/kv_cache.h"
#include "charm/engine/varlen_attention.h"

namespace charm::engine {
namespace {

at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  return at::linear(x, weight, bias.defined() ? std::optional<at::Tensor>(bias) : std::nullopt);
}

/// A slice of a fused layer's outputs.
at::Tensor linear_part(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                       std::int64_t begin, std::int64_t count) {
  return linear(x, weight.narrow(0, begin, count),
                bias.defined() ? bias.narrow(0, begin, count) : bias);
}

/// A float32 weight (Gemma's, with its one added) needs the whole norm in float32; the fused
/// operator takes equal dtypes only.
at::Tensor norm(const at::Tensor& x, const at::Tensor& weight, const NormConfig& config) {
  if (!weight.defined()) return x;
  if (weight.scalar_type() == x.scalar_type())
    return at::rms_norm(x, weight.sizes(), weight, config.eps);
  return at::rms_norm(x.to(at::kFloat), weight.sizes(), weight, config.eps).to(x.scalar_type());
}

/// Applies RoPE to N heads [T, N, E] in place. Products of the model's dtype with the float32
/// tables are float32.
void apply_rope(const at::Tensor& x_TNE, const at::Tensor& cos_TF, const at::Tensor& sin_TF) {
  const std::int64_t half = cos_TF.size(1);
  const at::Tensor low = x_TNE.narrow(2, 0, half), high = x_TNE.narrow(2, half, half);
  const at::Tensor cos = cos_TF.unsqueeze(1), sin = sin_TF.unsqueeze(1);
  const at::Tensor rotated_low = (low * cos).addcmul_(high, sin, /*value=*/-1);
  const at::Tensor rotated_high = (high * cos).addcmul_(low, sin);
  low.copy_(rotated_low);
  high.copy_(rotated_high);
}

class GpuBlock {
 public:
  GpuBlock(const BlockParts& parts, const BatchLayout& layout, BlockRows rows,
           BlockWorkspace& workspace)
      : parts_(parts),
        layout_(layout),
        rope_(layout.ropes.at(parts.rope)),
        last_(rows == BlockRows::kLast),
        workspace_(workspace) {
    heads_ = {parts.num_heads, parts.num_kv_heads, parts.head_dim};
  }

  at::Tensor run(at::Tensor& x_TD) {
    const std::int64_t q_width = heads_.heads * heads_.head_dim,
                       kv_width = 2 * heads_.key_heads * heads_.head_dim;
    const FusedWeights& w = parts_.fused;
    const at::Tensor normed = norm(x_TD, parts_.input_norm_D, parts_.norm);
    at::Tensor q, kv;
    if (last_) {
      q = linear_part(normed.index_select(0, layout_.last_S), w.qkv, w.qkv_bias, 0, q_width);
      kv = linear_part(normed, w.qkv, w.qkv_bias, q_width, kv_width);
      const auto of_last = [&](const at::Tensor& table) {
        return table.index_select(0, layout_.last_S);
      };
      norm_and_rope(q, heads_.heads, 0, of_last(rope_.cos_TF), of_last(rope_.sin_TF));
      norm_and_rope(kv, 0, heads_.key_heads, rope_.cos_TF, rope_.sin_TF);
    } else {
      const at::Tensor qkv = linear(normed, w.qkv, w.qkv_bias);
      norm_and_rope(qkv, heads_.heads, heads_.key_heads, rope_.cos_TF, rope_.sin_TF);
      q = qkv.narrow(1, 0, q_width);
      kv = qkv.narrow(1, q_width, kv_width);
    }
    const at::Tensor keys = all_keys(kv);
    at::Tensor residual = last_ ? x_TD.index_select(0, layout_.last_S) : x_TD;
    if (residual.size(0) == 0) return residual;
    const at::Tensor attended =
        attend(q.view({q.size(0), heads_.heads, heads_.head_dim}), keys,
               last_ ? layout_.last_rows : layout_.all_rows, heads_, parts_.attention);
    add_branch(residual, attended, w.o, w.o_bias, parts_.attention_out_norm_D);
    const at::Tensor mlp_in = norm(residual, parts_.mlp_norm_D, parts_.norm);
    if (parts_.experts) {
      residual.add_(norm(mix_experts(*parts_.experts, mlp_in, Mode::kGpu), parts_.mlp_out_norm_D,
                         parts_.norm));
    } else {
      add_branch(residual, gated(mlp_in), w.down, w.down_bias, parts_.mlp_out_norm_D);
    }
    return residual;
  }

 private:
  /// QK-norm (where the model has it) and RoPE on the first `queries` + `keys` heads of x's rows.
  void norm_and_rope(const at::Tensor& x, std::int64_t queries, std::int64_t keys,
                     const at::Tensor& cos_TF, const at::Tensor& sin_TF) const {
    const at::Tensor heads = x.view({x.size(0), x.size(1) / heads_.head_dim, heads_.head_dim});
    const auto norm_some = [&](std::int64_t begin, std::int64_t count, const at::Tensor& weight_E) {
      if (count == 0 || !weight_E.defined()) return;
      const at::Tensor some = x.narrow(1, begin * heads_.head_dim, count * heads_.head_dim)
                                  .unflatten(1, {-1, weight_E.size(0)});
      some.copy_(norm(some, weight_E, parts_.norm));
    };
    norm_some(0, queries, parts_.q_norm_E);
    norm_some(queries, keys, parts_.k_norm_E);
    apply_rope(heads.narrow(1, 0, queries + keys), cos_TF, sin_TF);
  }

  /// K and V by the rows that the attention plans index: the KV cache's, or this batch's after a
  /// cached prefix.
  at::Tensor all_keys(const at::Tensor& kv) {
    if (layout_.cache != nullptr) {
      at::Tensor& rows = layout_.cache->rows(parts_.layer);
      rows.index_copy_(0, layout_.cache_rows_T, kv);
      return rows;
    }
    CachedPrefix& prefix = workspace_.cached_prefix();
    const at::Tensor keys =
        layout_.num_computed_tokens > 0 ? at::cat({prefix.kv.at(parts_.layer), kv}) : kv;
    if (layout_.prefix_to_cache.empty() || layout_.prefix_to_cache == prefix.ids)
      return keys;  // cached already
    if (prefix.kv.size() <= parts_.layer) prefix.kv.resize(parts_.layer + 1);
    prefix.kv[parts_.layer] = keys.narrow(0, layout_.prefix_to_cache_begin,
                                          static_cast<std::int64_t>(layout_.prefix_to_cache.size()))
                                  .clone();
    return keys;
  }

  at::Tensor gated(const at::Tensor& normed) const {
    const FusedWeights& w = parts_.fused;
    const at::Tensor gate_up = linear(normed, w.gate_up, w.gate_up_bias);
    const std::int64_t width = gate_up.size(1) / 2;
    at::Tensor gate = gate_up.narrow(1, 0, width);
    w.activation == Activation::kSilu
        ? at::silu_(gate)
        : at::gelu_(gate, w.activation == Activation::kGelu ? "none" : "tanh");
    return gate.mul_(gate_up.narrow(1, width, width));
  }

  /// residual += norm(linear(x)); without a norm the GEMM accumulates into it.
  void add_branch(at::Tensor& residual, const at::Tensor& x, const at::Tensor& weight,
                  const at::Tensor& bias, const at::Tensor& norm_D) const {
    if (norm_D.defined()) {
      residual.add_(norm(linear(x, weight, bias), norm_D, parts_.norm));
      return;
    }
    residual.addmm_(x, weight.t());
    if (bias.defined()) residual.add_(bias);
  }

  const BlockParts& parts_;
  const BatchLayout& layout_;
  const RopeTable& rope_;
  const bool last_;
  BlockWorkspace& workspace_;
  AttentionHeads heads_;
};

}  // namespace

at::Tensor gpu_block(const BlockParts& parts, at::Tensor& x_TD, const BatchLayout& layout,
                     BlockRows rows, BlockWorkspace& workspace) {
  return GpuBlock(parts, layout, rows, workspace).run(x_TD);
}

}  // namespace charm::engine
