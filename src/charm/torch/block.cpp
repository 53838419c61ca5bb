#include "charm/torch/block.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/argsort.h>
#include <ATen/ops/bincount.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/rms_norm.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/square.h>
#include <ATen/ops/topk.h>

#include <utility>

#include "charm/engine/decoder_weights.h"
#include "charm/torch/kv_cache.h"
#include "charm/torch/varlen_attention.h"

namespace charm::torch {
namespace {

/// Applies RoPE to N heads. Products of the model's dtype with the float32 tables are float32.
at::Tensor apply_rope(const at::Tensor& x_TNE, const at::Tensor& cos_TF, const at::Tensor& sin_TF) {
  const std::int64_t half = cos_TF.size(1), rest = x_TNE.size(2) - 2 * half;
  const at::Tensor low = x_TNE.narrow(2, 0, half), high = x_TNE.narrow(2, half, half);
  const at::Tensor cos = cos_TF.unsqueeze(1), sin = sin_TF.unsqueeze(1);
  std::vector<at::Tensor> parts = {(low * cos).addcmul_(high, sin, /*value=*/-1),
                                   (high * cos).addcmul_(low, sin)};
  if (rest > 0) parts.push_back(x_TNE.narrow(2, 2 * half, rest).to(at::kFloat));
  return at::cat(parts, /*dim=*/2).to(x_TNE.scalar_type());
}

at::Tensor activated(const at::Tensor& z, engine::Activation activation) {
  using engine::Activation;
  switch (activation) {
    case Activation::kSilu:
      return at::silu(z);
    case Activation::kGelu:
      return at::gelu(z, "none");
    case Activation::kGeluTanh:
      return at::gelu(z, "tanh");
    case Activation::kQuickGelu:
      return z * at::sigmoid(z * 1.702);
    case Activation::kRelu:
      return at::relu(z);
    case Activation::kReluSquared:
      break;
  }
  return at::square(at::relu(z));
}

at::Tensor gated_mlp(const GatedMlp& mlp, const at::Tensor& x_TD) {
  const std::vector<at::Tensor> gate_up = mlp.gate_up.forward(x_TD);
  return activated(gate_up[0], mlp.activation) * gate_up[1];
}

/// sum_e w_e(x) mlp_e(x) over the experts that the router picks for each row.
at::Tensor mix_experts(const Experts& experts, const at::Tensor& x_TD) {
  const std::int64_t k = experts.routing.experts_per_token, rows = x_TD.size(0);
  const at::Tensor logits_TX = at::linear(x_TD.to(at::kFloat), experts.router_XD.to(at::kFloat));
  auto [weights_Tk, expert_Tk] = at::topk(at::softmax(logits_TX, /*dim=*/-1), k);
  if (experts.routing.normalise)
    weights_Tk = weights_Tk / weights_Tk.sum(/*dim=*/-1, /*keepdim=*/true);
  const at::Tensor expert_N = expert_Tk.flatten();
  const at::Tensor order_N = at::argsort(expert_N, /*stable=*/true, /*dim=*/0);
  const at::Tensor counts =
      at::bincount(expert_N, /*weights=*/{}, experts.routing.num_experts).to(at::kCPU);
  const at::Tensor gathered_ND = x_TD.index_select(0, order_N.floor_divide(k));
  std::vector<at::Tensor> parts;
  std::int64_t begin = 0;
  for (std::size_t e = 0; e < experts.mlps.size(); ++e) {
    const std::int64_t count = counts.const_data_ptr<std::int64_t>()[e];
    if (count == 0) continue;
    const GatedMlp& mlp = experts.mlps[e];
    parts.push_back(
        linear(gated_mlp(mlp, gathered_ND.narrow(0, begin, count)), mlp.down_DF, mlp.down_bias));
    begin += count;
  }
  if (parts.empty()) return x_TD;  // no rows
  at::Tensor place_N = at::empty_like(order_N);
  place_N.index_copy_(0, order_N, at::arange(rows * k, order_N.options()));
  const at::Tensor y_TkD =
      at::cat(parts).index_select(0, place_N).view({rows, k, x_TD.size(1)}).to(at::kFloat);
  return (y_TkD * weights_Tk.unsqueeze(-1)).sum(/*dim=*/1).to(x_TD.scalar_type());
}

/// residual + norm(linear(x)); without a norm the GEMM adds.
at::Tensor add_branch(const Block& block, const at::Tensor& residual, const at::Tensor& x,
                      const at::Tensor& weight, const at::Tensor& bias, const at::Tensor& norm_D) {
  if (norm_D.defined()) return residual + rms_norm(linear(x, weight, bias), norm_D, block.norm);
  const at::Tensor sum = at::addmm(residual, x, weight.t());
  return bias.defined() ? sum + bias : sum;
}

/// QK-norm, where the model has it.
at::Tensor norm_heads(const Block& block, const at::Tensor& x_THE, const at::Tensor& weight_E) {
  if (!weight_E.defined()) return x_THE;
  const std::int64_t width = weight_E.size(0);  // explicit sizes: there may be no rows
  return rms_norm(x_THE.unflatten(1, {x_THE.size(1) / width, width}), weight_E, block.norm)
      .flatten(1);
}

struct QueriesAndKeys {
  at::Tensor q_QHE;  ///< Q = T or S
  at::Tensor kv_T;   ///< [T, 2*K*E]: each row's K, then its V
};

QueriesAndKeys project(const Block& block, const at::Tensor& normed_TD, const Layout& layout,
                       BlockRows rows) {
  const AttentionHeads& heads = block.heads;
  const RopeTable& rope = layout.ropes.at(block.rope);
  const std::int64_t T = normed_TD.size(0), E = heads.head_dim;
  if (rows == BlockRows::kAll) {
    const std::vector<at::Tensor> qkv = block.qkv.forward(normed_TD);
    const at::Tensor qk = at::cat(
        {norm_heads(block, qkv[0], block.q_norm_E), norm_heads(block, qkv[1], block.k_norm_E)},
        /*dim=*/1);
    const at::Tensor rotated =
        apply_rope(qk.view({T, heads.heads + heads.key_heads, E}), rope.cos_TF, rope.sin_TF);
    return {rotated.narrow(1, 0, heads.heads),
            at::cat({rotated.narrow(1, heads.heads, heads.key_heads).flatten(1), qkv[2]}, 1)};
  }
  const auto of_last = [&](const at::Tensor& t) { return t.index_select(0, layout.last_S); };
  const at::Tensor q = block.qkv.forward(of_last(normed_TD), 0, 1)[0];
  const std::vector<at::Tensor> kv = block.qkv.forward(normed_TD, 1, 3);
  const at::Tensor k = norm_heads(block, kv[0], block.k_norm_E).reshape({T, heads.key_heads, E});
  return {apply_rope(norm_heads(block, q, block.q_norm_E).reshape({q.size(0), heads.heads, E}),
                     of_last(rope.cos_TF), of_last(rope.sin_TF)),
          at::cat({apply_rope(k, rope.cos_TF, rope.sin_TF).flatten(1), kv[1]}, 1)};
}

/// K and V by the rows that the attention plans index: the KV cache's, or this batch's after a
/// cached prefix.
at::Tensor all_keys(const Block& block, const at::Tensor& kv_T, const Layout& layout) {
  if (layout.cache != nullptr) {
    at::Tensor& rows = layout.cache->rows(block.layer);
    rows.index_copy_(0, layout.cache_rows_T, kv_T);
    return rows;
  }
  if (layout.prefix == nullptr) return kv_T;
  PrefixCache& prefix = *layout.prefix;
  const at::Tensor keys =
      layout.num_computed_tokens > 0 ? at::cat({prefix.kv.at(block.layer), kv_T}) : kv_T;
  if (layout.prefix_to_cache.empty() || layout.prefix_to_cache == prefix.ids)
    return keys;  // cached already
  if (prefix.kv.size() <= block.layer) prefix.kv.resize(block.layer + 1);
  prefix.kv[block.layer] = keys.narrow(0, layout.prefix_to_cache_begin,
                                       static_cast<std::int64_t>(layout.prefix_to_cache.size()))
                               .clone();
  return keys;
}

Projections projections(std::vector<at::Tensor> fused_or_parts, std::vector<at::Tensor> biases,
                        std::vector<std::int64_t> outputs, Use use) {
  Projections made(std::move(fused_or_parts), std::move(biases), std::move(outputs));
  if (use == Use::kInference) made.fuse();
  return made;
}

Experts make_experts(const engine::DecoderConfig& config, const engine::BlockWeights& weights,
                     const Place& place, Use use) {
  Experts experts;
  experts.routing = config.experts.value().routing;
  experts.router_XD = place(weights.router_XD, /*float32=*/true);
  for (const engine::ExpertWeights& expert : weights.experts) {
    const at::Tensor gate = place(expert.gate_FD, false), up = place(expert.up_FD, false);
    const std::int64_t width = gate.size(0);
    experts.mlps.push_back({.gate_up = projections({gate, up}, {{}, {}}, {width, width}, use),
                            .down_DF = place(expert.down_DF, false),
                            .down_bias = {},
                            .activation = config.activation});
  }
  return experts;
}

GatedMlp make_mlp(const engine::DecoderConfig& config, const engine::BlockWeights& weights,
                  const Place& place, Use use) {
  const auto of = [&](const engine::Tensor& tensor) { return place(tensor, /*float32=*/false); };
  GatedMlp mlp{.gate_up = {},
               .down_DF = of(weights.down_DF),
               .down_bias = of(weights.down_bias),
               .activation = config.activation};
  const std::int64_t width = mlp.down_DF.size(1);
  mlp.gate_up =
      weights.gate_up_FD.defined()
          ? projections({of(weights.gate_up_FD)}, {{}}, {width, width}, use)
          : projections({of(weights.gate_FD), of(weights.up_FD)},
                        {of(weights.gate_bias), of(weights.up_bias)}, {width, width}, use);
  return mlp;
}

}  // namespace

at::Tensor rms_norm(const at::Tensor& x_TD, const at::Tensor& weight_D,
                    const engine::NormConfig& config) {
  if (!weight_D.defined()) return x_TD;
  if (config.weight_offset == 0.0 && weight_D.scalar_type() == x_TD.scalar_type())
    return at::rms_norm(x_TD, weight_D.sizes(), weight_D, config.eps);
  at::Tensor weight = weight_D.to(at::kFloat);
  if (config.weight_offset != 0.0) weight = weight + config.weight_offset;
  return at::rms_norm(x_TD.to(at::kFloat), weight.sizes(), weight, config.eps)
      .to(x_TD.scalar_type());
}

Block make_block(const engine::DecoderConfig& config, std::size_t layer,
                 const engine::BlockWeights& weights, const Place& place, Use use) {
  const auto of = [&](const engine::Tensor& tensor) { return place(tensor, /*float32=*/false); };
  Block block;
  block.layer = layer;
  block.heads = {config.num_heads, config.num_kv_heads, config.head_dim};
  block.norm = engine::norm_config(config);
  block.attention = engine::attention_config(config, layer);
  block.rope = engine::rope_index(config, layer);
  block.input_norm_D = of(weights.input_norm_D);
  block.mlp_norm_D = of(weights.mlp_norm_D);
  block.attention_out_norm_D = of(weights.attention_out_norm_D);
  block.mlp_out_norm_D = of(weights.mlp_out_norm_D);
  block.q_norm_E = of(weights.q_norm_E);
  block.k_norm_E = of(weights.k_norm_E);
  const std::int64_t q_width = config.num_heads * config.head_dim,
                     kv_width = config.num_kv_heads * config.head_dim;
  const std::vector<std::int64_t> outputs = {q_width, kv_width, kv_width};
  block.qkv =
      weights.qkv_HED.defined()
          ? projections({of(weights.qkv_HED)}, {{}}, outputs, use)
          : projections({of(weights.q_HED), of(weights.k_KED), of(weights.v_KED)},
                        {of(weights.q_bias), of(weights.k_bias), of(weights.v_bias)}, outputs, use);
  block.o_DHE = of(weights.o_DHE);
  block.o_bias = of(weights.o_bias);
  if (engine::has_experts(config, layer)) {
    block.experts = make_experts(config, weights, place, use);
  } else {
    block.mlp = make_mlp(config, weights, place, use);
  }
  return block;
}

at::Tensor forward(const Block& block, const at::Tensor& x_TD, const Layout& layout,
                   BlockRows rows) {
  const bool last = rows == BlockRows::kLast;
  const QueriesAndKeys projected =
      project(block, rms_norm(x_TD, block.input_norm_D, block.norm), layout, rows);
  const at::Tensor keys = all_keys(block, projected.kv_T, layout);
  const at::Tensor residual = last ? x_TD.index_select(0, layout.last_S) : x_TD;
  if (residual.size(0) == 0) return residual;
  const at::Tensor attended =
      attend(projected.q_QHE, keys, last ? layout.last_rows : layout.all_rows, block.heads,
             block.attention);
  const at::Tensor h =
      add_branch(block, residual, attended, block.o_DHE, block.o_bias, block.attention_out_norm_D);
  const at::Tensor mlp_in = rms_norm(h, block.mlp_norm_D, block.norm);
  if (block.experts)
    return h + rms_norm(mix_experts(*block.experts, mlp_in), block.mlp_out_norm_D, block.norm);
  return add_branch(block, h, gated_mlp(block.mlp, mlp_in), block.mlp.down_DF, block.mlp.down_bias,
                    block.mlp_out_norm_D);
}

}  // namespace charm::torch
