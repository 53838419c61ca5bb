#include <utility>

#include "charm/engine/cpu_block.h"
#include "charm/engine/weights_folder.h"

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
