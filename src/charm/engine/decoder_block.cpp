#include "charm/engine/decoder_block.h"

#include <ATen/TensorOperators.h>

#include "charm/engine/kv_cache.h"
#include "charm/engine/ops.h"

namespace charm::engine {

at::Tensor DecoderBlock::forward(at::Tensor x_TD, const BatchLayout& layout, BlockRows rows,
                                 BlockWorkspace& workspace) const {
  if (layout.mode == Mode::kInference) return infer_block(parts_, x_TD, layout, rows, workspace);
  if (layout.mode == Mode::kGpu) return gpu_block(parts_, x_TD, layout, rows, workspace);
  const auto norm = [&](const at::Tensor& x, const at::Tensor& weight_D) {
    return weight_D.defined() ? rms_norm(x, weight_D, parts_.norm, layout.mode) : x;
  };
  const at::Tensor residual = rows == BlockRows::kLast ? x_TD.index_select(0, layout.last_S) : x_TD;
  const at::Tensor h = residual + norm(attend(norm(x_TD, parts_.input_norm_D), layout, rows),
                                       parts_.attention_out_norm_D);
  const at::Tensor normed = norm(h, parts_.mlp_norm_D);
  const at::Tensor mlp = parts_.experts
                             ? mix_experts(*parts_.experts, normed, layout.mode)
                             : parts_.down.forward(parts_.gated.forward(normed, layout.mode));
  return h + norm(mlp, parts_.mlp_out_norm_D);
}

at::Tensor DecoderBlock::attend(const at::Tensor& normed_TD, const BatchLayout& layout,
                                BlockRows rows) const {
  const bool last = rows == BlockRows::kLast;
  const auto of_last = [&](const at::Tensor& t) {
    return last ? t.index_select(0, layout.last_S) : t;
  };
  const RopeTable& rope = layout.ropes.at(parts_.rope);
  const at::Tensor q_THE = rms_norm_heads(parts_.q.forward(of_last(normed_TD)), parts_.q_norm_E,
                                          parts_.norm, layout.mode);
  const at::Tensor k_TKE =
      rms_norm_heads(parts_.k.forward(normed_TD), parts_.k_norm_E, parts_.norm, layout.mode);
  const at::Tensor q_HTE =
      rope_heads(q_THE, of_last(rope.cos_TF), of_last(rope.sin_TF), parts_.num_heads);
  const at::Tensor k_KTE = rope_heads(k_TKE, rope.cos_TF, rope.sin_TF, parts_.num_kv_heads);
  const at::Tensor v_KTE = split_heads(parts_.v.forward(normed_TD), parts_.num_kv_heads);
  if (layout.cache == nullptr)
    return parts_.o.forward(attention(q_HTE, k_KTE, v_KTE, layout, rows, parts_.attention));
  layout.cache->store(parts_.layer, k_KTE, v_KTE, layout.cached);
  return parts_.o.forward(layout.cache->attend(
      parts_.layer, q_HTE, last ? layout.cached_last : layout.cached, parts_.attention));
}

}  // namespace charm::engine
