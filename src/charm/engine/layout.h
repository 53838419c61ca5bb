#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <vector>

#include "charm/engine/kv_cache.h"
#include "charm/engine/token_batch.h"
#include "charm/engine/varlen_attention.h"

namespace charm::engine {

// T packed tokens, S responses, F = E / 2 half a head's width.

/// How layers run; fixed for a model's lifetime.
enum class Mode {
  kInference,  ///< CPU kernels on packed weights; no gradients
  kGpu,  ///< few, large ATen operators on fused weights; no gradients. For GPUs; runs on any device
  kAutograd,  ///< ATen operators on plain weights, any device; gradients flow where grad mode is on
};

/// RoPE frequencies; a model has one set, or one per kind of layer (global, sliding-window).
struct RopeFrequencies {
  at::Tensor inverse_F;            ///< float32 inv_freq: angle per position of each pair of a head
  double attention_scaling = 1.0;  ///< multiplies cos and sin
  /// Longer sequences use `of_length(sequence length)` instead (dynamic NTK, LongRoPE); they must
  /// not share a prompt.
  std::int64_t fixed_up_to = std::numeric_limits<std::int64_t>::max();
  std::function<at::Tensor(std::int64_t)> of_length;
};

/// cos and sin of a batch's positions for one set of frequencies.
struct RopeTable {
  at::Tensor cos_TF;  ///< float32
  at::Tensor sin_TF;  ///< float32
};

/// A packed batch as input of the blocks: the sequences' segments and RoPE tables. Segments index
/// the batch's tokens. The first `num_computed_tokens` of them have their K and V in the prefix
/// cache and are not computed again: ids, RoPE tables and `last_S` begin with token
/// `num_computed_tokens`.
struct BatchLayout {
  Mode mode = Mode::kAutograd;
  at::Tensor ids_T;              ///< int64, on the model's device
  std::vector<RopeTable> ropes;  ///< one per set of frequencies; blocks hold an index
  at::Tensor last_S;             ///< int64, packed index of each response's last token
  std::vector<Segment> prompts;  ///< without cached ones
  std::vector<Segment> responses;
  std::int64_t num_computed_tokens = 0;
  std::vector<std::int32_t> prefix_to_cache;  ///< ids of the last prompt where the next batch
                                              ///< begins with it, otherwise empty
  std::int64_t prefix_to_cache_begin = 0;     ///< its first packed token
  std::int64_t num_tokens = 0;                ///< to compute
  std::int64_t num_responses = 0;             ///< or sequences that want logits
  at::Tensor gate_of_S;  ///< int64, for heads with a gating network: index of each response's gate
                         ///< token among the last rows, after the responses
  /// Prefill and decode: the sequences' K and V are read from and written to this KV cache; prompts
  /// and responses are empty. Null when scoring.
  KvCache* cache = nullptr;
  std::vector<kernels::PagedSequence> cached;  ///< every sequence's rows
  std::vector<kernels::PagedSequence>
      cached_last;  ///< the last tokens that want logits, rows as in `last_S`
  /// Mode::kGpu: attention plans for all rows and for the last rows.
  AttentionPlan all_rows, last_rows;
  at::Tensor
      cache_rows_T;  ///< Mode::kGpu with a KV cache: int64 slot of each token (vLLM's slot mapping)
};

/// Model properties that a layout depends on.
struct LayoutOptions {
  Mode mode = Mode::kAutograd;
  at::Device device = at::kCPU;
  AttentionKernel attention = AttentionKernel::kPadded;  ///< Mode::kGpu
  AttentionHeads heads;                                  ///< Mode::kGpu
};

/// Builds the layout with one RoPE table per entry of `frequencies`.
/// @param num_computed_tokens  leading tokens in the prefix cache: the first prompt's, or 0
BatchLayout make_layout(const PackedBatch& batch, std::span<const RopeFrequencies> frequencies,
                        const LayoutOptions& options, std::int64_t num_computed_tokens = 0);

/// The same for prefill chunks and decode tokens over a KV cache.
BatchLayout make_cached_layout(const CachedBatch& batch, KvCache& cache,
                               std::span<const RopeFrequencies> frequencies,
                               const LayoutOptions& options);

}  // namespace charm::engine
