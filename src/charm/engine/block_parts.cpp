#include <algorithm>
#include <cmath>
#include <utility>

#include "charm/engine/cpu_block.h"
#include "charm/engine/ops.h"
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

  Linear gated(const Tensor& gate_FD, const Tensor& gate_bias, const Tensor& up_FD,
               const Tensor& up_bias, Activation activation) const {
    Linear packed = Linear::pack_gated(converted(gate_FD), converted(gate_bias), converted(up_FD),
                                       converted(up_bias), activation);
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

/// Every second part of a tensor whose rows are pairs of parts, head by head: the queries (0) or
/// the gates (1) of q_proj.
Tensor parts_of_heads(const Tensor& pairs, std::int64_t heads, std::int64_t part) {
  if (!pairs.defined()) return pairs;
  std::vector<std::int64_t> rows;
  for (std::int64_t h = 0; h < heads; ++h) rows.push_back(2 * h + part);
  Tensor::Shape shape = pairs.shape();
  shape.front() /= 2;
  return select_rows(pairs.view({2 * heads, pairs.numel() / (2 * heads)}), rows).view(shape);
}

DeltaNet make_delta_net(const DecoderConfig& config, const BlockWeights& weights,
                        const Packer& packer) {
  DeltaNet net;
  net.shape = config.delta_net.value().shape;
  net.taps = config.delta_net->taps;
  net.eps = static_cast<float>(config.rms_norm_eps);
  net.qkv = packer.linear(weights.delta_qkv_CD, Tensor());
  net.z = packer.linear(weights.delta_z_VD, Tensor());
  net.b = packer.linear(weights.delta_b_HD, Tensor());
  net.a = packer.linear(weights.delta_a_HD, Tensor());
  // The kernels read float32; the values are those of the model's type.
  net.conv_WC = packer.converted(weights.delta_conv_C1W)
                    .to(DType::kFloat32)
                    .view({net.shape.channels(), net.taps})
                    .transposed();
  net.norm_U = packer.converted(weights.delta_norm_E).to(DType::kFloat32);
  net.rate_L = weights.delta_a_log_H.to(DType::kFloat32).clone();
  auto* rate = net.rate_L.mutable_data<float>();
  std::transform(rate, rate + net.rate_L.numel(), rate, [](float log) { return std::exp(log); });
  net.bias_L = weights.delta_dt_bias_H.to(DType::kFloat32).clone();
  return net;
}

void pack_attention(const DecoderConfig& config, const BlockWeights& weights, const Packer& packer,
                    CpuBlock& block) {
  block.shares_kv = shares_kv(config, block.layer);
  if (!block.shares_kv) block.k = packer.linear(weights.k_KED, weights.k_bias);
  if (weights.v_KED.defined()) block.v = packer.linear(weights.v_KED, weights.v_bias);
  if (block.shares_kv || lends_kv(config, block.layer)) {
    const bool global = is_global(config, block.layer);
    block.keys = global ? BlockWorkspace::kGlobalKeys : BlockWorkspace::kWindowKeys;
    block.values = global ? BlockWorkspace::kGlobalValues : BlockWorkspace::kWindowValues;
  }
  if (config.norms_values) {
    const std::vector<float> ones(static_cast<std::size_t>(block.head_dim), 1.0F);
    block.v_norm_E = packer.converted(Tensor::of(ones));
  }
  if (!config.attention_output_gate) {
    block.q = packer.linear(weights.q_HED, weights.q_bias);
    return;
  }
  const auto part = [&](std::int64_t index) {
    return packer.linear(parts_of_heads(weights.q_HED, config.num_heads, index),
                         parts_of_heads(weights.q_bias, config.num_heads, index));
  };
  block.q = part(0);
  block.output_gate = part(1);
  release_pages(weights.q_HED);
}

}  // namespace

CpuBlock make_cpu_block(const DecoderConfig& config, std::size_t layer, const BlockWeights& stored,
                        DType dtype) {
  const BlockWeights weights = split_fused(config, stored);
  const Packer packer{dtype};
  CpuBlock block;
  block.layer = layer;
  block.num_heads = config.num_heads;
  block.num_kv_heads = num_kv_heads(config, layer);
  block.head_dim = head_dim(config, layer);
  block.norm = norm_config(config);
  block.attention = attention_config(config, layer);
  block.rope = rope_index(config, layer);
  block.input_norm_D = packer.converted(weights.input_norm_D);
  block.mlp_norm_D = packer.converted(weights.mlp_norm_D);
  block.attention_out_norm_D = packer.converted(weights.attention_out_norm_D);
  block.mlp_out_norm_D = packer.converted(weights.mlp_out_norm_D);
  block.q_norm_E = packer.converted(weights.q_norm_E);
  block.k_norm_E = packer.converted(weights.k_norm_E);
  if (has_delta_net(config, layer)) {
    block.delta_net = make_delta_net(config, weights, packer);
  } else {
    pack_attention(config, weights, packer, block);
  }
  block.o = packer.linear(weights.o_DHE, weights.o_bias);
  if (config.scales_layers)
    block.output_scale =
        packer.converted(weights.layer_scalar_1).to(DType::kFloat32).data<float>()[0];
  if (has_experts(config, layer)) {
    block.experts = make_experts(config, weights, packer);
    return block;
  }
  block.gated = packer.gated(weights.gate_FD, weights.gate_bias, weights.up_FD, weights.up_bias,
                             config.activation);
  block.down = packer.linear(weights.down_DF, weights.down_bias);
  return block;
}

}  // namespace charm::engine
