#include "charm/engine/block_parts.h"

#include <utility>

#include "charm/engine/weights_file.h"

namespace charm::engine {
namespace {

/// Packs stored tensors, converting them one by one.
struct Packer {
  DType dtype;

  Tensor converted(const Tensor& tensor) const {
    return tensor.defined() ? tensor.to(dtype) : tensor;
  }

  Linear linear(const Tensor& weight_OI, const Tensor& bias_O) const {
    Linear packed = Linear::pack(converted(weight_OI), converted(bias_O));
    release_pages(weight_OI);
    return packed;
  }

  GatedLinear gated(const Tensor& gate_FD, const Tensor& gate_bias, const Tensor& up_FD,
                    const Tensor& up_bias, Activation activation) const {
    GatedLinear packed = GatedLinear::pack(converted(gate_FD), converted(gate_bias),
                                           converted(up_FD), converted(up_bias), activation);
    release_pages(gate_FD);
    release_pages(up_FD);
    return packed;
  }
};

Experts make_experts(const DecoderConfig& config, const BlockWeights& weights,
                     const Packer& packer) {
  Experts experts;
  experts.routing = config.experts.value().routing;
  experts.router = Packer{DType::kFloat32}.linear(weights.router_XD, Tensor());
  const Tensor none;
  for (const ExpertWeights& expert : weights.experts) {
    experts.mlps.push_back(
        {.gated = packer.gated(expert.gate_FD, none, expert.up_FD, none, config.activation),
         .down = packer.linear(expert.down_DF, none)});
  }
  return experts;
}

}  // namespace

NormConfig norm_config(const DecoderConfig& config) {
  return {.eps = config.rms_norm_eps, .weight_offset = config.norms_add_one ? 1.0 : 0.0};
}

AttentionConfig attention_config(const DecoderConfig& config, std::size_t layer) {
  return {.scale = config.attention_scale,
          .window = config.windows.empty() ? 0 : config.windows.at(layer),
          .softcap = config.attention_softcap};
}

std::size_t rope_index(const DecoderConfig& config, std::size_t layer) {
  return attention_config(config, layer).window > 0 && config.local_rope ? 1 : 0;
}

BlockWeights split_fused(const DecoderConfig& config, BlockWeights weights) {
  if (weights.qkv_HED.defined()) {
    const std::int64_t heads = config.num_heads * config.head_dim;
    const std::int64_t kv_heads = config.num_kv_heads * config.head_dim;
    weights.q_HED = weights.qkv_HED.narrow(0, heads);
    weights.k_KED = weights.qkv_HED.narrow(heads, kv_heads);
    weights.v_KED = weights.qkv_HED.narrow(heads + kv_heads, kv_heads);
  }
  if (weights.gate_up_FD.defined()) {
    const std::int64_t width = weights.gate_up_FD.rows() / 2;
    weights.gate_FD = weights.gate_up_FD.narrow(0, width);
    weights.up_FD = weights.gate_up_FD.narrow(width, width);
  }
  return weights;
}

BlockParts make_block_parts(const DecoderConfig& config, std::size_t layer,
                            const BlockWeights& stored, DType dtype) {
  const BlockWeights weights = split_fused(config, stored);
  const Packer packer{dtype};
  BlockParts parts;
  parts.layer = layer;
  parts.num_heads = config.num_heads;
  parts.num_kv_heads = config.num_kv_heads;
  parts.head_dim = config.head_dim;
  parts.norm = norm_config(config);
  parts.attention = attention_config(config, layer);
  parts.rope = rope_index(config, layer);
  parts.input_norm_D = packer.converted(weights.input_norm_D);
  parts.mlp_norm_D = packer.converted(weights.mlp_norm_D);
  parts.attention_out_norm_D = packer.converted(weights.attention_out_norm_D);
  parts.mlp_out_norm_D = packer.converted(weights.mlp_out_norm_D);
  parts.q_norm_E = packer.converted(weights.q_norm_E);
  parts.k_norm_E = packer.converted(weights.k_norm_E);
  parts.q = packer.linear(weights.q_HED, weights.q_bias);
  parts.k = packer.linear(weights.k_KED, weights.k_bias);
  parts.v = packer.linear(weights.v_KED, weights.v_bias);
  parts.o = packer.linear(weights.o_DHE, weights.o_bias);
  if (has_experts(config, layer)) {
    parts.experts = make_experts(config, weights, packer);
    return parts;
  }
  parts.gated = packer.gated(weights.gate_FD, weights.gate_bias, weights.up_FD, weights.up_bias,
                             config.activation);
  parts.down = packer.linear(weights.down_DF, weights.down_bias);
  return parts;
}

}  // namespace charm::engine
