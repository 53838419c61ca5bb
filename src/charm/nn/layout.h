#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <vector>

#include "charm/batch/token_batch.h"
#include "charm/nn/kv_cache.h"
#include "charm/nn/varlen_attention.h"

namespace charm::nn {

// T packed tokens, S responses, F = E / 2 half a head's width.

/// How layers run; fixed for a model's life.
enum class Mode {
  kInference,  ///< CPU kernels on packed weights; no gradients
  kGpu,  ///< few, large ATen operators on joined weights; no gradients. Made for GPUs, right on any
         ///< device
  kAutograd,  ///< ATen operators on plain weights, any device; gradients flow where grad mode is on
};

/// How positions become angles; a model has one of these, or one per kind of layer.
struct RopeFrequencies {
  at::Tensor inverse_F;            ///< float32, angle per position of each pair of a head
  double attention_scaling = 1.0;  ///< multiplies cosines and sines
  /// Sequences longer than this have frequencies of their own, those of `of_length(their length)`;
  /// they must not share a prompt.
  std::int64_t fixed_up_to = std::numeric_limits<std::int64_t>::max();
  std::function<at::Tensor(std::int64_t)> of_length;
};

/// A batch's positions under one set of frequencies.
struct RopeTable {
  at::Tensor cos_TF;  ///< float32, cosines of the positions' angles
  at::Tensor sin_TF;  ///< float32
};

/// A packed batch as the blocks see it: where each sequence lies, and the rope tables of its
/// positions. Segments count the batch's tokens. Where the keys and values of the first `num_kept`
/// of them were kept from the batch before, the blocks compute the others only: ids, rope tables
/// and `last_S` begin with token `num_kept`.
struct BatchLayout {
  Mode mode = Mode::kAutograd;
  at::Tensor ids_T;              ///< int64, on the model's device
  std::vector<RopeTable> ropes;  ///< one per entry of the model's frequencies; blocks hold an index
  at::Tensor last_S;             ///< int64, packed index of each response's last token
  std::vector<batch::Segment> prompts;  ///< those to compute
  std::vector<batch::Segment> responses;
  std::int64_t num_kept = 0;
  std::vector<std::int32_t>
      prompt_to_keep;  ///< ids of the last prompt where the next batch begins with it; else empty
  std::int64_t prompt_to_keep_begin = 0;  ///< its first token
  std::int64_t num_tokens = 0;            ///< those to compute
  std::int64_t num_responses = 0;         ///< or sequences whose last token's output is wanted
  at::Tensor gate_of_S;  ///< int64, for heads with a gating network: which of the last rows is each
                         ///< response's gate, behind the responses
  /// Where set, the sequences continue what lies in it, and their keys and values are added to it;
  /// prompts and responses are empty.
  KvCache* cache = nullptr;
  std::vector<kernels::PagedSequence> cached;  ///< every sequence's rows
  std::vector<kernels::PagedSequence>
      cached_last;  ///< the wanted last tokens, rows numbered as in `last_S`
  /// Mode::kGpu: the same sequences for attention over all rows, and over the wanted last tokens.
  AttentionPlan all_rows, last_rows;
  at::Tensor cache_rows_T;  ///< Mode::kGpu with a cache: int64, where in it each token's keys and
                            ///< values belong
};

/// For whom a layout is made.
struct LayoutOptions {
  Mode mode = Mode::kAutograd;
  at::Device device = at::kCPU;
  AttentionKernel attention = AttentionKernel::kPadded;  ///< Mode::kGpu
  AttentionHeads heads;                                  ///< Mode::kGpu
};

/// Builds the layout with one rope table per entry of `frequencies`.
/// @param num_kept  tokens at the front that need no computation: the first prompt, or none
BatchLayout make_layout(const batch::PackedBatch& batch,
                        std::span<const RopeFrequencies> frequencies, const LayoutOptions& options,
                        std::int64_t num_kept = 0);

/// The same for sequences that continue what lies in a cache.
BatchLayout make_cached_layout(const batch::CachedBatch& batch, KvCache& cache,
                               std::span<const RopeFrequencies> frequencies,
                               const LayoutOptions& options);

}  // namespace charm::nn
