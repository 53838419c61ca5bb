#include "charm/engine/block_parts.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>

#include <utility>

namespace charm::engine {
namespace {

/// Layers for a mode and a backend.
struct Layers {
  Mode mode;
  GemmBackend backend;

  Linear linear(const at::Tensor& weight, const at::Tensor& bias) const {
    return mode == Mode::kInference ? Linear::packed(weight, bias, backend)
                                    : Linear::plain(weight, bias);
  }

  GatedLinear gated(const at::Tensor& gate, const at::Tensor& gate_bias, const at::Tensor& up,
                    const at::Tensor& up_bias, Activation activation) const {
    return mode == Mode::kInference
               ? GatedLinear::packed(gate, gate_bias, up, up_bias, activation, backend)
               : GatedLinear::plain(linear(gate, gate_bias), linear(up, up_bias), activation);
  }
};

/// The block with q, k, v, gate and up as views of the fused tensors where it has those.
BlockWeights split_fused(const DecoderConfig& config, BlockWeights weights) {
  if (weights.qkv_HED.defined()) {
    const std::int64_t heads = config.num_heads * config.head_dim;
    const std::int64_t kv_heads = config.num_kv_heads * config.head_dim;
    weights.q_HED = weights.qkv_HED.narrow(0, 0, heads);
    weights.k_KED = weights.qkv_HED.narrow(0, heads, kv_heads);
    weights.v_KED = weights.qkv_HED.narrow(0, heads + kv_heads, kv_heads);
  }
  if (weights.gate_up_FD.defined()) {
    const std::int64_t width = weights.gate_up_FD.size(0) / 2;
    weights.gate_FD = weights.gate_up_FD.narrow(0, 0, width);
    weights.up_FD = weights.gate_up_FD.narrow(0, width, width);
  }
  return weights;
}

/// @param weights  with split tensors; fused ones are used as they are
FusedWeights fuse(const BlockWeights& weights, Activation activation) {
  const auto concat = [](const at::Tensor& fused, const std::vector<at::Tensor>& parts) {
    if (fused.defined()) return fused;
    return parts.front().defined() ? at::cat(parts) : at::Tensor();
  };
  const at::Tensor none;
  return {.qkv = concat(weights.qkv_HED, {weights.q_HED, weights.k_KED, weights.v_KED}),
          .qkv_bias = concat(none, {weights.q_bias, weights.k_bias, weights.v_bias}),
          .o = weights.o_DHE,
          .o_bias = weights.o_bias,
          .gate_up = concat(weights.gate_up_FD, {weights.gate_FD, weights.up_FD}),
          .gate_up_bias = concat(none, {weights.gate_bias, weights.up_bias}),
          .down = weights.down_DF,
          .down_bias = weights.down_bias,
          .activation = activation};
}

Experts make_experts(const DecoderConfig& config, const BlockWeights& weights,
                     const Layers& layers) {
  Experts experts;
  experts.routing = config.experts.value().routing;
  experts.router_XD = weights.router_XD;
  if (layers.mode == Mode::kInference)
    experts.packed_router = layers.linear(weights.router_XD.to(at::kFloat), at::Tensor());
  const at::Tensor none;
  for (const ExpertWeights& expert : weights.experts) {
    experts.mlps.push_back(
        {.gated = layers.gated(expert.gate_FD, none, expert.up_FD, none, config.activation),
         .down = layers.linear(expert.down_DF, none)});
  }
  return experts;
}

}  // namespace

NormConfig norm_config(const DecoderConfig& config) {
  return {.eps = config.rms_norm_eps, .weight_offset = config.norms_add_one ? 1.0 : 0.0};
}

BlockParts make_block_parts(const DecoderConfig& config, std::size_t layer,
                            const BlockWeights& stored, Mode mode, GemmBackend backend) {
  const BlockWeights weights = split_fused(config, stored);
  const Layers layers{mode, backend};
  BlockParts parts;
  parts.layer = layer;
  parts.num_heads = config.num_heads;
  parts.num_kv_heads = config.num_kv_heads;
  parts.head_dim = config.head_dim;
  parts.norm = norm_config(config);
  const std::int64_t window = config.windows.empty() ? 0 : config.windows.at(layer);
  parts.attention = {
      .scale = config.attention_scale, .window = window, .softcap = config.attention_softcap};
  parts.rope = window > 0 && config.local_rope ? 1 : 0;
  // In Mode::kGpu the norm's weight offset is folded in once, in float32 as in `rms_norm`.
  const auto norm = [&](const at::Tensor& weight) {
    const bool added = mode == Mode::kGpu && config.norms_add_one && weight.defined();
    return added ? weight.to(at::kFloat) + 1.0 : weight;
  };
  parts.input_norm_D = norm(weights.input_norm_D);
  parts.mlp_norm_D = norm(weights.mlp_norm_D);
  parts.attention_out_norm_D = norm(weights.attention_out_norm_D);
  parts.mlp_out_norm_D = norm(weights.mlp_out_norm_D);
  parts.q_norm_E = norm(weights.q_norm_E);
  parts.k_norm_E = norm(weights.k_norm_E);
  const bool sparse = has_experts(config, layer);
  if (sparse) parts.experts = make_experts(config, weights, layers);
  if (mode == Mode::kGpu) {
    parts.fused = fuse(weights, config.activation);
    return parts;
  }
  parts.q = layers.linear(weights.q_HED, weights.q_bias);
  parts.k = layers.linear(weights.k_KED, weights.k_bias);
  parts.v = layers.linear(weights.v_KED, weights.v_bias);
  parts.o = layers.linear(weights.o_DHE, weights.o_bias);
  if (sparse) return parts;
  parts.gated = layers.gated(weights.gate_FD, weights.gate_bias, weights.up_FD, weights.up_bias,
                             config.activation);
  parts.down = layers.linear(weights.down_DF, weights.down_bias);
  return parts;
}

std::vector<at::Tensor> gemm_weights(const DecoderConfig& config, const BlockWeights& stored) {
  const BlockWeights weights = split_fused(config, stored);
  std::vector<at::Tensor> found;
  const auto add = [&](const at::Tensor& weight) {
    if (weight.defined()) found.push_back(weight);
  };
  for (const at::Tensor& weight : {weights.q_HED, weights.k_KED, weights.v_KED, weights.o_DHE,
                                   weights.gate_FD, weights.up_FD, weights.down_DF}) {
    add(weight);
  }
  for (const ExpertWeights& expert : weights.experts) {
    for (const at::Tensor& weight : {expert.gate_FD, expert.up_FD, expert.down_DF}) add(weight);
  }
  return found;
}

}  // namespace charm::engine
