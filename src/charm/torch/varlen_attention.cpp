#include "charm/torch/varlen_attention.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/_flash_attention_forward.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/softmax.h>
#include <c10/core/InferenceMode.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "charm/base/error.h"
#include "charm/base/log.h"

namespace charm::torch {
namespace {

/// Gathered key rows of one call: for an 8B model 256 MiB. A batch of 16384 tokens with seven
/// responses a prompt has half as many.
constexpr std::int64_t kMaxKeyRows = 1 << 16;
/// Logits of one call, all heads: 512 MiB of float32.
constexpr std::int64_t kMaxLogits = 1 << 27;
/// Between two implementations on normal random values in bfloat16, relative to the largest. A
/// wrong mask gives differences around 1.
constexpr double kFlashTolerance = 0.05;

double scale_of(const engine::AttentionConfig& config, std::int64_t head_dim) {
  return config.scale == 0.0 ? 1.0 / std::sqrt(static_cast<double>(head_dim)) : config.scale;
}

/// Causal (and sliding-window) mask: rows are the last R of L tokens. Bool [R, L], true where
/// attended.
at::Tensor causal_mask(std::int64_t rows, std::int64_t keys, std::int64_t window,
                       const at::TensorOptions& options) {
  const at::Tensor all = at::ones({rows, keys}, options.dtype(at::kBool));
  const at::Tensor earlier = all.tril(keys - rows);
  return window == 0 ? earlier : earlier.logical_and(all.triu(keys - rows - window + 1));
}

/// Attention with a logit soft cap, which scaled_dot_product_attention does not support; in
/// float32.
at::Tensor capped_attention(const at::Tensor& q_1HRE, const at::Tensor& k_1KLE,
                            const at::Tensor& v_1KLE, const at::Tensor& mask_RL, double scale,
                            double softcap) {
  const std::int64_t group = q_1HRE.size(1) / k_1KLE.size(1);
  const auto repeated = [&](const at::Tensor& t) {
    return t.to(at::kFloat).repeat_interleave(group, /*dim=*/1);
  };
  const at::Tensor logits_1HRL =
      at::matmul(q_1HRE.to(at::kFloat), repeated(k_1KLE).transpose(-2, -1)) * scale;
  const at::Tensor capped = (logits_1HRL / softcap).tanh() * softcap;
  const at::Tensor weights =
      capped.masked_fill(mask_RL.logical_not(), -std::numeric_limits<double>::infinity())
          .softmax(-1);
  return at::matmul(weights, repeated(v_1KLE)).to(q_1HRE.scalar_type());
}

/// Scaled dot-product attention of one sequence: R query rows, the last of L tokens. [1, H, R, E].
at::Tensor attend_sequence(const at::Tensor& q_1HRE, const at::Tensor& k_1KLE,
                           const at::Tensor& v_1KLE, const engine::AttentionConfig& config) {
  const std::int64_t rows = q_1HRE.size(2);
  const std::int64_t keys = k_1KLE.size(2);
  const std::int64_t window = config.window < keys ? config.window : 0;
  const double scale = scale_of(config, q_1HRE.size(3));
  if (config.softcap != 0.0) {
    return capped_attention(q_1HRE, k_1KLE, v_1KLE,
                            causal_mask(rows, keys, window, q_1HRE.options()), scale,
                            config.softcap);
  }
  // No mask where it is not needed: without one the operator has faster kernels.
  const bool causal = rows == keys && window == 0;
  std::optional<at::Tensor> mask;
  if (!causal && (rows > 1 || window != 0))
    mask = causal_mask(rows, keys, window, q_1HRE.options());
  return at::scaled_dot_product_attention(q_1HRE, k_1KLE, v_1KLE, mask, /*dropout_p=*/0.0, causal,
                                          scale, /*enable_gqa=*/true);
}

at::Tensor flash(const at::Tensor& q_QHE, const at::Tensor& k_GKE, const at::Tensor& v_GKE,
                 const VarlenPart& part, const engine::AttentionConfig& config) {
  if (!q_QHE.is_cuda()) return varlen_reference(q_QHE, k_GKE, v_GKE, part, config);
  // flash's window_size excludes the token itself, ours includes it.
  const bool windowed = config.window != 0;
  return std::get<0>(at::_flash_attention_forward(
      q_QHE, k_GKE, v_GKE, part.cu_seqlens_q_S, part.cu_seqlens_k_S, part.max_query, part.max_keys,
      /*dropout_p=*/0.0,
      /*is_causal=*/true, /*return_debug_mask=*/false, scale_of(config, q_QHE.size(2)),
      windowed ? std::optional<std::int64_t>(config.window - 1) : std::nullopt,
      windowed ? std::optional<std::int64_t>(0) : std::nullopt));
}

/// Batched matmul with float32 output; bfloat16 inputs accumulate in float32 on a GPU, but that
/// operator has no gradient.
at::Tensor bmm_f32(const at::Tensor& a, const at::Tensor& b) {
  const bool gradients = at::GradMode::is_enabled() && (a.requires_grad() || b.requires_grad());
  if (a.is_cuda() && a.scalar_type() != at::kFloat && !gradients) return at::bmm(a, b, at::kFloat);
  return at::bmm(a.to(at::kFloat), b.to(at::kFloat));
}

void attend_padded(const at::Tensor& q_QHE, const at::Tensor& kv_N, const PaddedPart& part,
                   const AttentionHeads& heads, const engine::AttentionConfig& config,
                   at::Tensor& out_QHE) {
  const std::int64_t S = part.num_sequences, R = part.query_length, L = part.num_keys;
  const std::int64_t K = heads.key_heads, G = heads.heads / heads.key_heads, E = heads.head_dim;
  const at::Tensor q = q_QHE.index_select(0, part.query_rows)
                           .view({S, R, K, G, E})
                           .permute({0, 2, 3, 1, 4})
                           .reshape({S * K, G * R, E});
  const at::Tensor kv = kv_N.index_select(0, part.key_rows).view({S, L, 2, K, E});
  const at::Tensor k = kv.select(2, 0).permute({0, 2, 3, 1}).reshape({S * K, E, L});
  const at::Tensor v = kv.select(2, 1).permute({0, 2, 1, 3}).reshape({S * K, L, E});

  at::Tensor logits = bmm_f32(q, k).mul_(scale_of(config, E));
  if (config.softcap != 0.0)  // the backward of tanh needs its result
    logits = logits.div_(config.softcap).tanh_() * config.softcap;
  const at::Tensor key_L = at::arange(L, part.num_visible_SR.options());
  const at::Tensor end_SR1 = part.num_visible_SR.unsqueeze(-1);
  at::Tensor masked_SRL = key_L >= end_SR1;
  if (config.window != 0) masked_SRL = masked_SRL.logical_or(key_L < end_SR1 - config.window);
  logits.view({S, K, G, R, L})
      .masked_fill_(masked_SRL.view({S, 1, 1, R, L}), -std::numeric_limits<double>::infinity());
  const at::Tensor weights = at::softmax(logits, -1).to(q.scalar_type());
  const at::Tensor out =
      at::bmm(weights, v).view({S, K, G, R, E}).permute({0, 3, 1, 2, 4}).reshape({S * R, K * G, E});
  out_QHE.index_copy_(0, part.out_rows_N, out.index_select(0, part.padded_rows_N));
}

/// The attention's result, followed by the gradients of q and of K and V, relative to the largest
/// of each (at least 1: a window of one token has no gradient of q); on the host.
at::Tensor with_gradients(const at::Tensor& q, const at::Tensor& kv, const at::Tensor& upstream,
                          const AttentionPlan& plan, const AttentionHeads& heads,
                          const engine::AttentionConfig& config) {
  const at::Tensor q_leaf = q.clone().requires_grad_(true),
                   kv_leaf = kv.clone().requires_grad_(true);
  const at::Tensor out = attend(q_leaf, kv_leaf, plan, heads, config);
  const auto gradients = ::torch::autograd::grad({out}, {q_leaf, kv_leaf}, {upstream.clone()});
  std::vector<at::Tensor> all;
  for (const at::Tensor& t : {out, gradients[0], gradients[1]}) {
    const at::Tensor host = t.detach().to(at::kCPU, at::kFloat).flatten();
    all.push_back(host / host.abs().max().clamp_min(1.0));
  }
  return at::cat(all);
}

}  // namespace

std::string_view attention_kernel_name(AttentionKernel kernel) {
  return kernel == AttentionKernel::kFlash ? "flash" : "padded";
}

AttentionPlan plan_attention(std::span<const VarlenSequence> sequences, AttentionKernel kernel,
                             const AttentionHeads& heads, const at::Device& device) {
  AttentionPlan plan;
  if (kernel == AttentionKernel::kFlash) {
    plan.varlen = plan_varlen(sequences, kMaxKeyRows, device);
  } else {
    plan.padded = plan_padded(sequences, kMaxLogits / heads.heads, device);
  }
  return plan;
}

at::Tensor attend(const at::Tensor& q_QHE, const at::Tensor& kv_N, const AttentionPlan& plan,
                  const AttentionHeads& heads, const engine::AttentionConfig& config) {
  if (q_QHE.size(0) == 0) return q_QHE.flatten(1);
  std::vector<at::Tensor> outputs;
  for (const VarlenPart& part : plan.varlen) {
    const at::Tensor kv =
        kv_N.index_select(0, part.key_rows_G).view({-1, 2, heads.key_heads, heads.head_dim});
    outputs.push_back(flash(q_QHE.narrow(0, part.query_begin, part.query_rows), kv.select(1, 0),
                            kv.select(1, 1), part, config));
  }
  if (plan.padded.empty())
    return (outputs.size() == 1 ? outputs.front() : at::cat(outputs)).flatten(1);
  at::Tensor out_QHE = at::empty(q_QHE.sizes(), q_QHE.options());
  for (const PaddedPart& part : plan.padded)
    attend_padded(q_QHE, kv_N, part, heads, config, out_QHE);
  return out_QHE.flatten(1);
}

at::Tensor varlen_reference(const at::Tensor& q_QHE, const at::Tensor& k_GKE,
                            const at::Tensor& v_GKE, const VarlenPart& part,
                            const engine::AttentionConfig& config) {
  const at::Tensor cu_seqlens_q = part.cu_seqlens_q_S.to(at::kCPU),
                   cu_seqlens_k = part.cu_seqlens_k_S.to(at::kCPU);
  const auto* q_start = cu_seqlens_q.const_data_ptr<std::int32_t>();
  const auto* k_start = cu_seqlens_k.const_data_ptr<std::int32_t>();
  std::vector<at::Tensor> outputs;
  for (std::int64_t s = 0; s + 1 < cu_seqlens_q.size(0); ++s) {
    const auto slice = [](const at::Tensor& t, std::int32_t begin, std::int32_t end) {
      return t.narrow(0, begin, end - begin).transpose(0, 1).unsqueeze(0);
    };
    const at::Tensor out_1HRE = attend_sequence(slice(q_QHE, q_start[s], q_start[s + 1]),
                                                slice(k_GKE, k_start[s], k_start[s + 1]),
                                                slice(v_GKE, k_start[s], k_start[s + 1]), config);
    outputs.push_back(out_1HRE.squeeze(0).transpose(0, 1));
  }
  return at::cat(outputs);
}

bool kernels_agree(const AttentionHeads& heads, const engine::AttentionConfig& config,
                   at::ScalarType dtype, const at::Device& device) {
  const c10::InferenceMode no_inference(/*enabled=*/false);  // its tensors have no gradients
  const at::AutoGradMode grad_on(/*enabled=*/true);
  const std::vector<VarlenSequence> sequences = {{0, 70, {{0, 70}}},
                                                 {70, 33, {{0, 70}, {70, 33}}},
                                                 {103, 1, {{0, 70}, {103, 1}}},
                                                 {104, 130, {{104, 130}}}};
  std::vector<VarlenSequence> last;
  last.reserve(sequences.size());
  for (const VarlenSequence& s : sequences)
    last.push_back({static_cast<std::int64_t>(last.size()), 1, s.keys});
  auto generator = at::detail::createCPUGenerator(/*seed_val=*/20260117);
  const auto random = [&](at::IntArrayRef sizes) {
    return at::randn(sizes, generator, at::kFloat).to(device, dtype);
  };
  const at::Tensor q = random({234, heads.heads, heads.head_dim});
  const at::Tensor kv = random({234, 2 * heads.key_heads * heads.head_dim});
  const at::Tensor upstream = random({234, heads.heads * heads.head_dim});
  for (const auto& rows : {sequences, last}) {
    const std::int64_t num_rows = rows.back().query_begin + rows.back().query_length;
    const auto run = [&](AttentionKernel kernel) {
      return with_gradients(q.narrow(0, 0, num_rows), kv, upstream.narrow(0, 0, num_rows),
                            plan_attention(rows, kernel, heads, device), heads, config);
    };
    const double worst =
        (run(AttentionKernel::kFlash) - run(AttentionKernel::kPadded)).abs().max().item<double>();
    if (!(worst <= kFlashTolerance)) {
      log::warning(
          "flash attention on {} differs from padded matmul by {:.3g} of the largest; falling back "
          "to the "
          "latter, which is slower",
          device.str(), worst);
      return false;
    }
  }
  return true;
}

AttentionKernel choose_attention_kernel(const AttentionHeads& heads,
                                        std::span<const engine::AttentionConfig> configs,
                                        at::ScalarType dtype, const at::Device& device) {
  if (!device.is_cuda() || dtype != at::kBFloat16 || heads.head_dim % 8 != 0 ||
      heads.head_dim > 256)
    return AttentionKernel::kPadded;
  for (const engine::AttentionConfig& config : configs) {
    if (config.softcap != 0.0) return AttentionKernel::kPadded;
    engine::AttentionConfig tried = config;
    if (config.window != 0)
      tried.window = std::min<std::int64_t>(config.window, 50);  // shorter than the test sequences
    try {
      if (!kernels_agree(heads, tried, dtype, device)) return AttentionKernel::kPadded;
    } catch (const c10::Error& error) {
      log::warning(
          "flash attention does not run on {} ({}); falling back to padded matmul, which is slower",
          device.str(), error.what_without_backtrace());
      return AttentionKernel::kPadded;
    }
  }
  return AttentionKernel::kFlash;
}

}  // namespace charm::torch
