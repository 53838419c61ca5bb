#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "charm/nn/attention_rule.h"
#include "charm/nn/varlen.h"

namespace charm::nn {

// Q query rows, N rows of keys and values, H query heads, K key/value heads, E head width.

/// How attention over many sequences runs in Mode::kGpu.
enum class AttentionKernel {
  kFlash,   ///< ATen's flash attention over sequences of any length; bfloat16 on CUDA, no soft cap
  kPadded,  ///< products of padded sequences with a mask: any dtype, device and rule
};

std::string_view attention_kernel_name(AttentionKernel kernel);

/// Heads of a model's attention layers.
struct AttentionHeads {
  std::int64_t heads = 0;
  std::int64_t key_heads = 0;  ///< query head h uses key head h / (heads / key_heads)
  std::int64_t head_dim = 0;
};

/// A batch's sequences, prepared for one of the kernels.
struct AttentionPlan {
  std::vector<VarlenPart> varlen;  ///< kFlash
  std::vector<PaddedPart> padded;  ///< kPadded
};

/// Memory beside keys and values stays bounded: gathered keys by a few token budgets, logits by 512
/// MiB.
AttentionPlan plan_attention(std::span<const VarlenSequence> sequences, AttentionKernel kernel,
                             const AttentionHeads& heads, const at::Device& device);

/// Causal grouped-query attention of every sequence of the plan. No gradients.
///
/// @param q_QHE  [Q, H, E]; the last dimension contiguous
/// @param kv_N   [N, 2*K*E]: each row's keys, then its values; rows contiguous. The plan's key rows
/// are these
/// @return       [Q, H*E]
at::Tensor attend(const at::Tensor& q_QHE, const at::Tensor& kv_N, const AttentionPlan& plan,
                  const AttentionHeads& heads, const AttentionRule& rule);

/// What the flash kernel computes, sequence by sequence with plain operators: the meaning of a
/// VarlenPart, and what stands in for the kernel on other devices. Source: torch 2.11,
/// at::_flash_attention_forward with is_causal (aligned to the last query and key).
///
/// @param q_QHE  [Q, H, E], the part's query rows
/// @param k_GKE  [G, K, E], gathered
/// @param v_GKE  [G, K, E]
/// @return       [Q, H, E]
at::Tensor varlen_reference(const at::Tensor& q_QHE, const at::Tensor& k_GKE,
                            const at::Tensor& v_GKE, const VarlenPart& part,
                            const AttentionRule& rule);

/// kFlash where it takes models of this kind and gives what the reference gives on a small random
/// batch; tried on the device itself.
AttentionKernel choose_attention_kernel(const AttentionHeads& heads,
                                        std::span<const AttentionRule> rules, at::ScalarType dtype,
                                        const at::Device& device);

}  // namespace charm::nn
