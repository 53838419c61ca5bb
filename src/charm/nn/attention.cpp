#include "charm/nn/attention.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/scaled_dot_product_attention.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

namespace charm::nn {
namespace {

/// Which keys a row may see: rows are the last R of L tokens. Bool [R, L].
at::Tensor visible_keys(std::int64_t rows, std::int64_t keys, std::int64_t window, const at::TensorOptions& options) {
  const at::Tensor all = at::ones({rows, keys}, options.dtype(at::kBool));
  const at::Tensor earlier = all.tril(keys - rows);
  return window == 0 ? earlier : earlier.logical_and(all.triu(keys - rows - window + 1));
}

/// Attention with a soft cap, which scaled_dot_product_attention does not know; in float32.
at::Tensor capped_attention(const at::Tensor& q_1HRE, const at::Tensor& k_1KLE, const at::Tensor& v_1KLE, const at::Tensor& visible_RL,
                            double scale, double softcap) {
  const std::int64_t group = q_1HRE.size(1) / k_1KLE.size(1);
  const auto repeated = [&](const at::Tensor& t) { return t.to(at::kFloat).repeat_interleave(group, /*dim=*/1); };
  const at::Tensor logits_1HRL = at::matmul(q_1HRE.to(at::kFloat), repeated(k_1KLE).transpose(-2, -1)) * scale;
  const at::Tensor capped = (logits_1HRL / softcap).tanh() * softcap;
  const at::Tensor weights = capped.masked_fill(visible_RL.logical_not(), -std::numeric_limits<double>::infinity()).softmax(-1);
  return at::matmul(weights, repeated(v_1KLE)).to(q_1HRE.scalar_type());
}

}  // namespace

at::Tensor attend_sequence(const at::Tensor& q_1HRE, const at::Tensor& k_1KLE, const at::Tensor& v_1KLE, const AttentionRule& rule) {
  const std::int64_t rows = q_1HRE.size(2);
  const std::int64_t keys = k_1KLE.size(2);
  const std::int64_t window = rule.window < keys ? rule.window : 0;
  const double scale = rule.scale == 0.0 ? 1.0 / std::sqrt(static_cast<double>(q_1HRE.size(3))) : rule.scale;
  if (rule.softcap != 0.0) {
    return capped_attention(q_1HRE, k_1KLE, v_1KLE, visible_keys(rows, keys, window, q_1HRE.options()), scale, rule.softcap);
  }
  // A mask only where it is needed: without one the operator has faster paths.
  const bool causal = rows == keys && window == 0;
  std::optional<at::Tensor> mask;
  if (!causal && (rows > 1 || window != 0)) mask = visible_keys(rows, keys, window, q_1HRE.options());
  return at::scaled_dot_product_attention(q_1HRE, k_1KLE, v_1KLE, mask, /*dropout_p=*/0.0, causal, scale, /*enable_gqa=*/true);
}

at::Tensor attention(const at::Tensor& q_HTE, const at::Tensor& k_KTE, const at::Tensor& v_KTE, const BatchLayout& layout,
                     BlockRows rows, const AttentionRule& rule) {
  const auto heads_last = [](const at::Tensor& out_1HRE) {  // [1, H, R, E] -> [R, H*E]
    return out_1HRE.squeeze(0).transpose(0, 1).flatten(1);
  };
  const auto slice = [](const at::Tensor& t, std::int64_t begin, std::int64_t length) {
    return t.narrow(1, begin, length).unsqueeze(0);
  };
  std::vector<std::pair<std::int64_t, at::Tensor>> parts;  // (first row, [rows, H*E])
  const bool all = rows == BlockRows::kAll;
  if (all) {
    for (const batch::Segment& s : layout.prompts) {
      const std::int64_t b = s.response_begin;
      const std::int64_t n = s.response_length;
      parts.emplace_back(b, heads_last(attend_sequence(slice(q_HTE, b, n), slice(k_KTE, b, n), slice(v_KTE, b, n), rule)));
    }
  }
  for (std::size_t i = 0; i < layout.responses.size(); ++i) {
    const batch::Segment& s = layout.responses[i];
    const auto keys = [&](const at::Tensor& t) {
      return at::cat({slice(t, s.prompt_begin, s.prompt_length), slice(t, s.response_begin, s.response_length)}, /*dim=*/2);
    };
    const std::int64_t begin = all ? s.response_begin : static_cast<std::int64_t>(i);
    const std::int64_t length = all ? s.response_length : 1;
    parts.emplace_back(begin, heads_last(attend_sequence(slice(q_HTE, begin, length), keys(k_KTE), keys(v_KTE), rule)));
  }
  std::sort(parts.begin(), parts.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<at::Tensor> in_order;
  for (auto& part : parts) in_order.push_back(std::move(part.second));
  return at::cat(in_order, /*dim=*/0);
}

}  // namespace charm::nn
