#include "charm/nn/decoder_block.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>

#include <algorithm>

#include "charm/nn/ops.h"

namespace charm::nn {
namespace {

/// Rows of the MLP computed together in inference mode: their gate and up values stay in the cache between the products.
constexpr std::int64_t kMlpTileRows = 4 * kGemmRows;

}  // namespace

at::Tensor DecoderBlock::forward(const at::Tensor& x_TD, const BatchLayout& layout, BlockRows rows) const {
  const at::Tensor normed = rms_norm(x_TD, parts_.input_norm_D, parts_.rms_norm_eps, layout.mode);
  const at::Tensor residual = rows == BlockRows::kLast ? x_TD.index_select(0, layout.last_S) : x_TD;
  const at::Tensor h = residual + attend(normed, layout, rows);
  return h + mlp(rms_norm(h, parts_.post_attention_norm_D, parts_.rms_norm_eps, layout.mode), layout.mode);
}

at::Tensor DecoderBlock::attend(const at::Tensor& normed_TD, const BatchLayout& layout, BlockRows rows) const {
  const bool last = rows == BlockRows::kLast;
  const auto of_last = [&](const at::Tensor& t) { return last ? t.index_select(0, layout.last_S) : t; };
  const at::Tensor q_HTE = rope_heads(parts_.q.forward(of_last(normed_TD)), of_last(layout.cos_TF),
                                      of_last(layout.sin_TF), parts_.num_heads, layout.mode);
  const at::Tensor k_KTE =
      rope_heads(parts_.k.forward(normed_TD), layout.cos_TF, layout.sin_TF, parts_.num_kv_heads, layout.mode);
  const at::Tensor v_KTE = split_heads(parts_.v.forward(normed_TD), parts_.num_kv_heads);
  return parts_.o.forward(attention(q_HTE, k_KTE, v_KTE, layout, rows));
}

at::Tensor DecoderBlock::mlp(const at::Tensor& normed_TD, Mode mode) const {
  const auto tile = [&](const at::Tensor& x) {
    return parts_.down.forward(silu_mul(parts_.gate.forward(x), parts_.up.forward(x), mode));
  };
  if (mode == Mode::kAutograd) return tile(normed_TD);
  at::Tensor out = at::empty(normed_TD.sizes(), normed_TD.options());
  for (std::int64_t row = 0; row < normed_TD.size(0); row += kMlpTileRows) {
    const std::int64_t rows = std::min(kMlpTileRows, normed_TD.size(0) - row);
    out.narrow(0, row, rows).copy_(tile(normed_TD.narrow(0, row, rows)));
  }
  return out;
}

}  // namespace charm::nn
