#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <vector>

#include "charm/engine/token_batch.h"
#include "charm/torch/kv_cache.h"
#include "charm/torch/varlen_attention.h"

namespace charm::torch {

// T packed tokens, S responses, F pairs of a head's values that RoPE rotates.

/// Rows that a block outputs.
enum class BlockRows {
  kAll,   ///< every packed token
  kLast,  ///< only each response's last token; K and V of all tokens are still computed
};

/// RoPE frequencies on a device.
struct Frequencies {
  at::Tensor inverse_F;  ///< float32
  double attention_scaling = 1.0;
  std::int64_t fixed_up_to = std::numeric_limits<std::int64_t>::max();
  std::function<at::Tensor(std::int64_t)> of_length;  ///< beyond `fixed_up_to`
};

/// cos and sin of a batch's positions for one set of frequencies.
struct RopeTable {
  at::Tensor cos_TF;  ///< float32
  at::Tensor sin_TF;  ///< float32
};

/// A batch planned for a device. Its first `num_computed_tokens` tokens have their K and V in the
/// prefix cache and are not computed again: ids, RoPE tables and `last_S` begin after them.
struct Layout {
  at::Tensor ids_T;              ///< int64
  std::vector<RopeTable> ropes;  ///< one per set of frequencies
  at::Tensor last_S;             ///< int64, packed index of each response's last token
  at::Tensor gate_of_S;  ///< int64, for heads with a gating network: index of each response's gate
                         ///< token among the last rows, after the responses
  AttentionPlan all_rows, last_rows;
  std::int64_t num_tokens = 0;     ///< to compute
  std::int64_t num_responses = 0;  ///< or sequences that want logits
  std::int64_t num_computed_tokens = 0;
  PrefixCache* prefix =
      nullptr;  ///< scoring: read and written by the forward pass; null in training
  std::vector<std::int32_t> prefix_to_cache;  ///< ids of the last prompt where the next batch
                                              ///< begins with it, otherwise empty
  std::int64_t prefix_to_cache_begin = 0;     ///< its first packed token
  KvCache* cache = nullptr;  ///< prefill and decode: read and written by the forward pass
  at::Tensor cache_rows_T;   ///< int64 slot of each token (vLLM's slot mapping)
};

/// Model and device properties that a layout depends on.
struct LayoutOptions {
  at::Device device = at::kCPU;
  AttentionKernel attention = AttentionKernel::kPadded;
  AttentionHeads heads;
};

/// Plans a packed batch. Where it begins with the prompt in `prefix`, that is not computed again.
Layout make_layout(const engine::PackedBatch& batch, std::span<const Frequencies> frequencies,
                   const LayoutOptions& options, PrefixCache* prefix);

/// Plans prefill chunks and decode tokens over a KV cache.
Layout make_layout(const engine::CachedBatch& batch, std::span<const Frequencies> frequencies,
                   const LayoutOptions& options, KvCache& cache);

}  // namespace charm::torch
