#pragma once

#include "charm/engine/weight_names.h"

// Tensors of a block under the names that most families use; a family lists the groups it has.
namespace charm::engine {

inline constexpr BlockSlot kAttentionWeights[] = {
    {"self_attn.q_proj.weight", &BlockWeights::q_HED, WeightShape::kHeadsByModel},
    {"self_attn.k_proj.weight", &BlockWeights::k_KED, WeightShape::kKvHeadsByModel},
    {"self_attn.v_proj.weight", &BlockWeights::v_KED, WeightShape::kKvHeadsByModel},
    {"self_attn.o_proj.weight", &BlockWeights::o_DHE, WeightShape::kModelByHeads},
};

/// Where `attention_bias` is set.
inline constexpr BlockSlot kAttentionBiases[] = {
    {"self_attn.q_proj.bias", &BlockWeights::q_bias, WeightShape::kHeads, BiasOf::kAttention},
    {"self_attn.k_proj.bias", &BlockWeights::k_bias, WeightShape::kKvHeads, BiasOf::kAttention},
    {"self_attn.v_proj.bias", &BlockWeights::v_bias, WeightShape::kKvHeads, BiasOf::kAttention},
    {"self_attn.o_proj.bias", &BlockWeights::o_bias, WeightShape::kModel, BiasOf::kAttention},
};

inline constexpr BlockSlot kQkNorms[] = {
    {"self_attn.q_norm.weight", &BlockWeights::q_norm_E, WeightShape::kHeadNorm},
    {"self_attn.k_norm.weight", &BlockWeights::k_norm_E, WeightShape::kHeadNorm},
};

/// OLMo's: over all heads.
inline constexpr BlockSlot kWholeQkNorms[] = {
    {"self_attn.q_norm.weight", &BlockWeights::q_norm_E, WeightShape::kHeadsNorm},
    {"self_attn.k_norm.weight", &BlockWeights::k_norm_E, WeightShape::kKvHeadsNorm},
};

inline constexpr BlockSlot kMlpWeights[] = {
    {"mlp.gate_proj.weight", &BlockWeights::gate_FD, WeightShape::kMlpByModel},
    {"mlp.up_proj.weight", &BlockWeights::up_FD, WeightShape::kMlpByModel},
    {"mlp.down_proj.weight", &BlockWeights::down_DF, WeightShape::kModelByMlp},
};

/// Norms before attention and before the MLP (post_attention_layernorm is the MLP's input norm).
inline constexpr BlockSlot kTwoNorms[] = {
    {"input_layernorm.weight", &BlockWeights::input_norm_D, WeightShape::kNorm},
    {"post_attention_layernorm.weight", &BlockWeights::mlp_norm_D, WeightShape::kNorm},
};

/// Gemma's: before and after attention, before and after the MLP.
inline constexpr BlockSlot kFourNorms[] = {
    {"input_layernorm.weight", &BlockWeights::input_norm_D, WeightShape::kNorm},
    {"post_attention_layernorm.weight", &BlockWeights::attention_out_norm_D, WeightShape::kNorm},
    {"pre_feedforward_layernorm.weight", &BlockWeights::mlp_norm_D, WeightShape::kNorm},
    {"post_feedforward_layernorm.weight", &BlockWeights::mlp_out_norm_D, WeightShape::kNorm},
};

/// OLMo's: after attention and after the MLP, none before them.
inline constexpr BlockSlot kOutputNorms[] = {
    {"post_attention_layernorm.weight", &BlockWeights::attention_out_norm_D, WeightShape::kNorm},
    {"post_feedforward_layernorm.weight", &BlockWeights::mlp_out_norm_D, WeightShape::kNorm},
};

/// Phi-3's.
inline constexpr BlockSlot kFusedAttentionWeights[] = {
    {"self_attn.qkv_proj.weight", &BlockWeights::qkv_HED, WeightShape::kQkvByModel},
    {"self_attn.o_proj.weight", &BlockWeights::o_DHE, WeightShape::kModelByHeads},
};
inline constexpr BlockSlot kFusedMlpWeights[] = {
    {"mlp.gate_up_proj.weight", &BlockWeights::gate_up_FD, WeightShape::kGateUpByModel},
    {"mlp.down_proj.weight", &BlockWeights::down_DF, WeightShape::kModelByMlp},
};

/// Qwen3.5's, of layers with a gated delta net.
inline constexpr BlockSlot kDeltaNetWeights[] = {
    {"linear_attn.in_proj_qkv.weight", &BlockWeights::delta_qkv_CD, WeightShape::kDeltaChannels},
    {"linear_attn.in_proj_z.weight", &BlockWeights::delta_z_VD, WeightShape::kDeltaValues},
    {"linear_attn.in_proj_b.weight", &BlockWeights::delta_b_HD, WeightShape::kDeltaHeads},
    {"linear_attn.in_proj_a.weight", &BlockWeights::delta_a_HD, WeightShape::kDeltaHeads},
    {"linear_attn.conv1d.weight", &BlockWeights::delta_conv_C1W, WeightShape::kDeltaConv},
    {"linear_attn.A_log", &BlockWeights::delta_a_log_H, WeightShape::kDeltaRate},
    {"linear_attn.dt_bias", &BlockWeights::delta_dt_bias_H, WeightShape::kDeltaBias},
    {"linear_attn.norm.weight", &BlockWeights::delta_norm_E, WeightShape::kDeltaNorm},
    {"linear_attn.out_proj.weight", &BlockWeights::o_DHE, WeightShape::kDeltaOutput},
};

/// Tensor names of a family that differs in the block's groups and experts only.
constexpr WeightNames usual_names(std::span<const std::span<const BlockSlot>> block_slots,
                                  const ExpertNames* experts = nullptr) {
  return {.embedding = "model.embed_tokens.weight",
          .block_prefix = "model.layers.",
          .block_slots = block_slots,
          .final_norm = "model.norm.weight",
          .experts = experts};
}

}  // namespace charm::engine
