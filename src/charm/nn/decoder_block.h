#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "charm/nn/attention.h"
#include "charm/nn/layout.h"
#include "charm/nn/linear.h"

namespace charm::nn {

// T packed tokens, S responses, D model width, H query heads, K key/value heads.

/// What a block is made of. Families differ in these values, not in code.
struct BlockParts {
  std::int64_t num_heads = 0;
  std::int64_t num_kv_heads = 0;
  double rms_norm_eps = 1e-6;
  at::Tensor input_norm_D, post_attention_norm_D;
  Linear q, k, v, o, gate, up, down;
};

/// norm, attention, add, norm, MLP, add. Immutable; safe for concurrent use.
class DecoderBlock {
 public:
  explicit DecoderBlock(BlockParts parts) : parts_(std::move(parts)) {}

  /// @param x_TD  hidden states, model dtype
  /// @return      [T, D], or [S, D] with BlockRows::kLast. Gradients flow in autograd mode.
  at::Tensor forward(const at::Tensor& x_TD, const BatchLayout& layout, BlockRows rows) const;

 private:
  at::Tensor attend(const at::Tensor& normed_TD, const BatchLayout& layout, BlockRows rows) const;
  at::Tensor mlp(const at::Tensor& normed_TD, Mode mode) const;

  BlockParts parts_;
};

}  // namespace charm::nn
