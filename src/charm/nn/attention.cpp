#include "charm/nn/attention.h"

#include <ATen/ops/_scaled_dot_product_flash_attention_for_cpu.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/scaled_dot_product_attention.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "charm/base/check.h"
#include "charm/nn/kernel_call.h"

namespace charm::nn {
namespace {

// G query heads per key head, R rows of one sequence, L keys.

/// Attention of R rows over a stretch of keys with its own softmax, and the logarithm of that softmax's sum.
struct Part {
  at::Tensor out_GRKE;  ///< contiguous
  at::Tensor lse_GRK;   ///< contiguous float32
};

/// Rows of a sequence are padded to a multiple of this: MKL multiplies left-over rows by kernels whose order of summation depends on
/// where its scratch memory lies, and with that on the thread count (seen with 1, 9, 15, 17 and 31 rows, never with multiples of 16).
constexpr std::int64_t kRowStep = 16;

/// Repeats the last row behind the others; the caller drops what comes of it.
at::Tensor pad_rows(const at::Tensor& t_HRE) {
  const std::int64_t rows = t_HRE.size(1);
  const std::int64_t missing = (kRowStep - rows % kRowStep) % kRowStep;
  if (missing == 0) return t_HRE;
  return at::cat({t_HRE, t_HRE.narrow(1, rows - 1, 1).expand({t_HRE.size(0), missing, t_HRE.size(2)})}, /*dim=*/1);
}

Part attend(const at::Tensor& q_HRE, const at::Tensor& k_KLE, const at::Tensor& v_KLE, bool causal) {
  if (const std::int64_t rows = q_HRE.size(1); rows % kRowStep != 0) {
    // Behind the causal border further keys change nothing.
    const Part padded = attend(pad_rows(q_HRE), causal ? pad_rows(k_KLE) : k_KLE, causal ? pad_rows(v_KLE) : v_KLE, causal);
    return {padded.out_GRKE.narrow(1, 0, rows).contiguous(), padded.lse_GRK.narrow(1, 0, rows).contiguous()};
  }
  const std::int64_t key_heads = k_KLE.size(0);
  const std::int64_t group = q_HRE.size(0) / key_heads;
  // Query heads that share keys become a batch; keys are repeated along it by a zero stride, without a copy.
  const at::Tensor q = q_HRE.unflatten(0, {key_heads, group}).transpose(0, 1);
  const auto repeat = [&](const at::Tensor& t) {
    return t.unsqueeze(0).expand({group, t.size(0), t.size(1), t.size(2)});
  };
  const auto [out, lse] = at::_scaled_dot_product_flash_attention_for_cpu(
      q, repeat(k_KLE), repeat(v_KLE), /*dropout_p=*/0.0, causal, /*attn_mask=*/std::nullopt, /*scale=*/std::nullopt);
  return {out.transpose(1, 2).contiguous(), lse.transpose(1, 2).contiguous()};
}

at::Tensor attention_inference(const at::Tensor& q_HTE, const at::Tensor& k_KTE, const at::Tensor& v_KTE,
                               const BatchLayout& layout, BlockRows rows) {
  const std::int64_t heads = q_HTE.size(0);
  const std::int64_t head_dim = q_HTE.size(2);
  const std::int64_t key_heads = k_KTE.size(0);
  at::Tensor out_THE = at::empty({q_HTE.size(1), heads * head_dim}, q_HTE.options());
  const auto slice = [](const at::Tensor& t, std::int64_t begin, std::int64_t length) {
    return t.narrow(1, begin, length);
  };
  const auto write = [&](const std::optional<Part>& prompt, const Part& own, std::int64_t begin, std::int64_t length) {
    at::Tensor out = out_THE.narrow(0, begin, length);
    call_for_dtype(q_HTE, [&](auto element) {
      using Element = decltype(element);
      kernels::merge_attention(prompt ? elements<Element>(prompt->out_GRKE) : nullptr,
                               prompt ? prompt->lse_GRK.const_data_ptr<float>() : nullptr,
                               elements<Element>(own.out_GRKE), own.lse_GRK.const_data_ptr<float>(),
                               mutable_elements<Element>(out), length, key_heads, heads / key_heads, head_dim);
    });
  };

  if (rows == BlockRows::kAll) {
    for (const batch::Segment& s : layout.prompts) {
      const std::int64_t b = s.response_begin;
      const std::int64_t n = s.response_length;
      write(std::nullopt, attend(slice(q_HTE, b, n), slice(k_KTE, b, n), slice(v_KTE, b, n), /*causal=*/true), b, n);
    }
    out_THE.narrow(0, layout.num_tokens, out_THE.size(0) - layout.num_tokens).zero_();
  } else {
    out_THE.narrow(0, layout.num_responses, out_THE.size(0) - layout.num_responses).zero_();
  }
  for (std::size_t i = 0; i < layout.responses.size(); ++i) {
    const batch::Segment& s = layout.responses[i];
    const bool all = rows == BlockRows::kAll;
    const std::int64_t begin = all ? s.response_begin : static_cast<std::int64_t>(i);
    const std::int64_t length = all ? s.response_length : 1;
    const at::Tensor q = slice(q_HTE, begin, length);
    std::optional<Part> prompt;
    if (s.prompt_length > 0) {
      prompt = attend(q, slice(k_KTE, s.prompt_begin, s.prompt_length), slice(v_KTE, s.prompt_begin, s.prompt_length),
                      /*causal=*/false);
    }
    const Part own = attend(q, slice(k_KTE, s.response_begin, s.response_length),
                            slice(v_KTE, s.response_begin, s.response_length), /*causal=*/all);
    write(prompt, own, begin, length);
  }
  return out_THE;
}

/// 0 where row r (the r-th token of the response) may look, -inf elsewhere: keys are the P prompt tokens, then the response.
at::Tensor prompt_causal_mask(std::int64_t prompt_length, std::int64_t rows, const at::TensorOptions& options) {
  const at::Tensor blocked =
      at::full({rows, prompt_length + rows}, -std::numeric_limits<double>::infinity(), options);
  return blocked.triu(prompt_length + 1);
}

at::Tensor attention_autograd(const at::Tensor& q_HTE, const at::Tensor& k_KTE, const at::Tensor& v_KTE,
                              const BatchLayout& layout, BlockRows rows) {
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
      parts.emplace_back(b, heads_last(at::scaled_dot_product_attention(
                                slice(q_HTE, b, n), slice(k_KTE, b, n), slice(v_KTE, b, n), /*attn_mask=*/std::nullopt,
                                /*dropout_p=*/0.0, /*is_causal=*/true, /*scale=*/std::nullopt, /*enable_gqa=*/true)));
    }
  }
  for (std::size_t i = 0; i < layout.responses.size(); ++i) {
    const batch::Segment& s = layout.responses[i];
    const auto keys = [&](const at::Tensor& t) {
      return at::cat({slice(t, s.prompt_begin, s.prompt_length), slice(t, s.response_begin, s.response_length)}, /*dim=*/2);
    };
    const std::int64_t begin = all ? s.response_begin : static_cast<std::int64_t>(i);
    const std::int64_t length = all ? s.response_length : 1;
    std::optional<at::Tensor> mask;
    if (all && s.prompt_length > 0) mask = prompt_causal_mask(s.prompt_length, length, q_HTE.options());
    const bool causal = all && s.prompt_length == 0;
    parts.emplace_back(begin, heads_last(at::scaled_dot_product_attention(
                                  slice(q_HTE, begin, length), keys(k_KTE), keys(v_KTE), mask, /*dropout_p=*/0.0, causal,
                                  /*scale=*/std::nullopt, /*enable_gqa=*/true)));
  }
  std::sort(parts.begin(), parts.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<at::Tensor> in_order;
  for (auto& part : parts) in_order.push_back(std::move(part.second));
  return at::cat(in_order, /*dim=*/0);
}

}  // namespace

at::Tensor attention(const at::Tensor& q_HTE, const at::Tensor& k_KTE, const at::Tensor& v_KTE, const BatchLayout& layout,
                     BlockRows rows, const AttentionRule& rule) {
  CHARM_CHECK(rule.scale == 0.0 && rule.window == 0 && rule.softcap == 0.0, "not there yet");
  return layout.mode == Mode::kInference ? attention_inference(q_HTE, k_KTE, v_KTE, layout, rows)
                                         : attention_autograd(q_HTE, k_KTE, v_KTE, layout, rows);
}

}  // namespace charm::nn
