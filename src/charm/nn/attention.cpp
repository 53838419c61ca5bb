#include "charm/nn/attention.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/split_with_sizes.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <vector>

namespace charm::nn {
namespace {

/// Which keys a row may see: rows are the last R of L tokens. Bool [R, L].
at::Tensor visible_keys(std::int64_t rows, std::int64_t keys, std::int64_t window,
                        const at::TensorOptions& options) {
  const at::Tensor all = at::ones({rows, keys}, options.dtype(at::kBool));
  const at::Tensor earlier = all.tril(keys - rows);
  return window == 0 ? earlier : earlier.logical_and(all.triu(keys - rows - window + 1));
}

/// Attention with a soft cap, which scaled_dot_product_attention does not know; in float32.
at::Tensor capped_attention(const at::Tensor& q_1HRE, const at::Tensor& k_1KLE,
                            const at::Tensor& v_1KLE, const at::Tensor& visible_RL, double scale,
                            double softcap) {
  const std::int64_t group = q_1HRE.size(1) / k_1KLE.size(1);
  const auto repeated = [&](const at::Tensor& t) {
    return t.to(at::kFloat).repeat_interleave(group, /*dim=*/1);
  };
  const at::Tensor logits_1HRL =
      at::matmul(q_1HRE.to(at::kFloat), repeated(k_1KLE).transpose(-2, -1)) * scale;
  const at::Tensor capped = (logits_1HRL / softcap).tanh() * softcap;
  const at::Tensor weights =
      capped.masked_fill(visible_RL.logical_not(), -std::numeric_limits<double>::infinity())
          .softmax(-1);
  return at::matmul(weights, repeated(v_1KLE)).to(q_1HRE.scalar_type());
}

}  // namespace

at::Tensor attend_sequence(const at::Tensor& q_1HRE, const at::Tensor& k_1KLE,
                           const at::Tensor& v_1KLE, const AttentionRule& rule) {
  const std::int64_t rows = q_1HRE.size(2);
  const std::int64_t keys = k_1KLE.size(2);
  const std::int64_t window = rule.window < keys ? rule.window : 0;
  const double scale =
      rule.scale == 0.0 ? 1.0 / std::sqrt(static_cast<double>(q_1HRE.size(3))) : rule.scale;
  if (rule.softcap != 0.0) {
    return capped_attention(q_1HRE, k_1KLE, v_1KLE,
                            visible_keys(rows, keys, window, q_1HRE.options()), scale,
                            rule.softcap);
  }
  // A mask only where it is needed: without one the operator has faster paths.
  const bool causal = rows == keys && window == 0;
  std::optional<at::Tensor> mask;
  if (!causal && (rows > 1 || window != 0))
    mask = visible_keys(rows, keys, window, q_1HRE.options());
  return at::scaled_dot_product_attention(q_1HRE, k_1KLE, v_1KLE, mask, /*dropout_p=*/0.0, causal,
                                          scale, /*enable_gqa=*/true);
}

at::Tensor attention(const at::Tensor& q_HTE, const at::Tensor& k_KTE, const at::Tensor& v_KTE,
                     const BatchLayout& layout, BlockRows rows, const AttentionRule& rule) {
  const bool all = rows == BlockRows::kAll;
  // Prompts and responses in packed order; together they cover all T rows. Split at once, because
  // the way back through a split joins the gradients, where every slice by itself would fill a [H,
  // T, E] of its own.
  std::map<std::int64_t, std::int64_t> length_of;  // first row of a segment -> its rows
  for (const auto* segments : {&layout.prompts, &layout.responses}) {
    for (const batch::Segment& s : *segments)
      length_of.emplace(s.response_begin, s.response_length);
  }
  std::map<std::int64_t, std::size_t> place;  // first row of a segment -> its number
  std::vector<std::int64_t> lengths;
  for (const auto& [begin, length] : length_of) {
    place.emplace(begin, lengths.size());
    lengths.push_back(length);
  }
  const auto pieces = [](const at::Tensor& t, const std::vector<std::int64_t>& sizes) {
    return at::split_with_sizes(t.unsqueeze(0), sizes, /*dim=*/2);
  };
  const std::vector<at::Tensor> k = pieces(k_KTE, lengths);
  const std::vector<at::Tensor> v = pieces(v_KTE, lengths);
  const std::vector<at::Tensor> q =
      pieces(q_HTE, all ? lengths : std::vector<std::int64_t>(layout.responses.size(), 1));

  std::vector<at::Tensor> out(q.size());  // [1, H, rows, E], in packed order
  if (all) {
    for (const batch::Segment& s : layout.prompts) {
      const std::size_t own = place.at(s.response_begin);
      out[own] = attend_sequence(q[own], k[own], v[own], rule);
    }
  }
  for (std::size_t i = 0; i < layout.responses.size(); ++i) {
    const batch::Segment& s = layout.responses[i];
    const std::size_t own = place.at(s.response_begin);
    const std::size_t row = all ? own : i;
    if (s.prompt_length == 0) {
      out[row] = attend_sequence(q[row], k[own], v[own], rule);
      continue;
    }
    const std::size_t prompt = place.at(s.prompt_begin);
    const at::Tensor keys = at::cat({k[prompt], k[own]}, /*dim=*/2);
    const at::Tensor values = at::cat({v[prompt], v[own]}, /*dim=*/2);
    if (all && s.prompt_length <= s.response_length && rule.window == 0 && rule.softcap == 0.0) {
      // Asking for the prompt's rows again, and dropping them, needs no mask, which costs more than
      // a short prompt.
      const at::Tensor whole =
          attend_sequence(at::cat({q[prompt], q[own]}, /*dim=*/2), keys, values, rule);
      out[row] = whole.narrow(2, s.prompt_length, s.response_length);
    } else {
      out[row] = attend_sequence(q[row], keys, values, rule);
    }
  }
  return at::cat(out, /*dim=*/2).squeeze(0).transpose(0, 1).flatten(1);
}

}  // namespace charm::nn
