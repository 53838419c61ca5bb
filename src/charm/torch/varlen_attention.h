#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "charm/engine/model_config.h"
#include "charm/torch/varlen.h"

namespace charm::torch {

// Q query rows, N rows of keys and values, H query heads, K key/value heads, E head width.

/// Attention implementation.
enum class AttentionKernel {
  kFlash,   ///< ATen's varlen FlashAttention; bfloat16 on CUDA, no soft cap
  kPadded,  ///< batched matmul of padded sequences with a mask: any dtype, device and config
};

std::string_view attention_kernel_name(AttentionKernel kernel);

/// Head counts of a model's attention layers.
struct AttentionHeads {
  std::int64_t heads = 0;
  std::int64_t key_heads = 0;  ///< query head h uses key head h / (heads / key_heads)
  std::int64_t head_dim = 0;
};

/// A batch's sequences, planned for one of the kernels.
struct AttentionPlan {
  std::vector<VarlenPart> varlen;  ///< kFlash
  std::vector<PaddedPart> padded;  ///< kPadded
};

/// Workspace is bounded: gathered keys by a few token budgets, logits by 512 MiB.
AttentionPlan plan_attention(std::span<const VarlenSequence> sequences, AttentionKernel kernel,
                             const AttentionHeads& heads, const at::Device& device);

/// Causal grouped-query attention of every sequence of the plan. Gradients flow.
///
/// @param q_QHE  [Q, H, E]; the last dimension contiguous
/// @param kv_N   [N, 2*K*E]: each row's K, then its V; rows contiguous. The plan's key rows index
/// these
/// @return       [Q, H*E]
at::Tensor attend(const at::Tensor& q_QHE, const at::Tensor& kv_N, const AttentionPlan& plan,
                  const AttentionHeads& heads, const engine::AttentionConfig& config);

/// Reference of the flash kernel, sequence by sequence with plain operators; the fallback on other
/// devices. Source: torch 2.11, at::_flash_attention_forward with is_causal (bottom-right aligned).
///
/// @param q_QHE  [Q, H, E], the part's query rows
/// @param k_GKE  [G, K, E], gathered
/// @param v_GKE  [G, K, E]
/// @return       [Q, H, E]
at::Tensor varlen_reference(const at::Tensor& q_QHE, const at::Tensor& k_GKE,
                            const at::Tensor& v_GKE, const VarlenPart& part,
                            const engine::AttentionConfig& config);

/// Whether both kernels run on this device and agree on a small random batch, in results and in
/// gradients; a difference is a warning. On a CPU the flash kernel is its reference.
bool kernels_agree(const AttentionHeads& heads, const engine::AttentionConfig& config,
                   at::ScalarType dtype, const at::Device& device);

/// kFlash where it supports the model and agrees with kPadded on this device; otherwise kPadded.
AttentionKernel choose_attention_kernel(const AttentionHeads& heads,
                                        std::span<const engine::AttentionConfig> configs,
                                        at::ScalarType dtype, const at::Device& device);

}  // namespace charm::torch
