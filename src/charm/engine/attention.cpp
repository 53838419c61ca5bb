#include "charm/engine/attention.h"

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

namespace charm::engine {
namespace {

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

}  // namespace

at::Tensor attend_sequence(const at::Tensor& q_1HRE, const at::Tensor& k_1KLE,
                           const at::Tensor& v_1KLE, const AttentionConfig& config) {
  const std::int64_t rows = q_1HRE.size(2);
  const std::int64_t keys = k_1KLE.size(2);
  const std::int64_t window = config.window < keys ? config.window : 0;
  const double scale =
      config.scale == 0.0 ? 1.0 / std::sqrt(static_cast<double>(q_1HRE.size(3))) : config.scale;
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

at::Tensor attention(const at::Tensor& q_HTE, const at::Tensor& k_KTE, const at::Tensor& v_KTE,
                     const BatchLayout& layout, BlockRows rows, const AttentionConfig& config) {
  const bool all = rows == BlockRows::kAll;
  // Prompts and responses in packed order; together they cover all T rows. One split instead of
  // slices: its backward concatenates the gradients, where each slice would allocate a [H, T, E].
  std::map<std::int64_t, std::int64_t> length_of;  // first row of a segment -> its rows
  for (const auto* segments : {&layout.prompts, &layout.responses}) {
    for (const Segment& s : *segments) length_of.emplace(s.response_begin, s.response_length);
  }
  std::map<std::int64_t, std::size_t> index_of;  // first row of a segment -> its index
  std::vector<std::int64_t> lengths;
  for (const auto& [begin, length] : length_of) {
    index_of.emplace(begin, lengths.size());
    lengths.push_back(length);
  }
  const auto split_rows = [](const at::Tensor& t, const std::vector<std::int64_t>& sizes) {
    return at::split_with_sizes(t.unsqueeze(0), sizes, /*dim=*/2);
  };
  const std::vector<at::Tensor> k = split_rows(k_KTE, lengths);
  const std::vector<at::Tensor> v = split_rows(v_KTE, lengths);
  const std::vector<at::Tensor> q =
      split_rows(q_HTE, all ? lengths : std::vector<std::int64_t>(layout.responses.size(), 1));

  std::vector<at::Tensor> out(q.size());  // [1, H, rows, E], in packed order
  if (all) {
    for (const Segment& s : layout.prompts) {
      const std::size_t own = index_of.at(s.response_begin);
      out[own] = attend_sequence(q[own], k[own], v[own], config);
    }
  }
  for (std::size_t i = 0; i < layout.responses.size(); ++i) {
    const Segment& s = layout.responses[i];
    const std::size_t own = index_of.at(s.response_begin);
    const std::size_t row = all ? own : i;
    if (s.prompt_length == 0) {
      out[row] = attend_sequence(q[row], k[own], v[own], config);
      continue;
    }
    const std::size_t prompt = index_of.at(s.prompt_begin);
    const at::Tensor keys = at::cat({k[prompt], k[own]}, /*dim=*/2);
    const at::Tensor values = at::cat({v[prompt], v[own]}, /*dim=*/2);
    if (all && s.prompt_length <= s.response_length && config.window == 0 &&
        config.softcap == 0.0) {
      // Recomputing the prompt's rows and dropping them needs no mask, which would cost more than a
      // short prompt.
      const at::Tensor whole =
          attend_sequence(at::cat({q[prompt], q[own]}, /*dim=*/2), keys, values, config);
      out[row] = whole.narrow(2, s.prompt_length, s.response_length);
    } else {
      out[row] = attend_sequence(q[row], keys, values, config);
    }
  }
  return at::cat(out, /*dim=*/2).squeeze(0).transpose(0, 1).flatten(1);
}

}  // namespace charm::engine
