#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>

#include "charm/engine/attention.h"
#include "charm/engine/decoder_weights.h"
#include "charm/engine/layout.h"
#include "charm/engine/linear.h"
#include "charm/engine/model_config.h"
#include "charm/engine/token_batch.h"

namespace charm::engine {

// T packed tokens, S responses, D model width.

/// The decoder: embed -> N blocks -> final norm -> head at each response's last token. The
/// program's only forward pass: scoring and generation run it in inference or GPU mode, training
/// runs the same blocks in autograd mode. Not thread-safe.
class Decoder {
 public:
  /// Inference mode prepacks the weights block by block and releases the originals, so that they
  /// exist once; CPU only. GPU mode fuses them in the same way, on their device. Autograd mode
  /// shares the given tensors (they may require gradients).
  /// @param backend    of inference mode
  /// @param attention  of GPU mode
  Decoder(DecoderConfig config, DecoderWeights weights, Mode mode,
          GemmBackend backend = GemmBackend::kCharm,
          AttentionKernel attention = AttentionKernel::kPadded);
  ~Decoder();
  Decoder(Decoder&&) noexcept;

  /// Segments, positions and RoPE tables of a batch on the model's device; build once per batch.
  BatchLayout layout(const PackedBatch& batch) const;

  /// The same for prefill and decode over a KV cache of `cache_shape()`; the forward pass writes K
  /// and V to it.
  BatchLayout layout(const CachedBatch& batch, KvCache& cache) const;
  KvCacheShape cache_shape() const;

  /// ids -> [T, D]. Gradients flow to the embedding.
  at::Tensor embed(const BatchLayout& layout) const;

  /// Factor of the embeddings (sqrt(D) in Gemma, otherwise 1).
  double embedding_scale() const;

  /// One block: [T, D] -> [T, D], or [S, D] with BlockRows::kLast. Gradients flow in autograd mode.
  at::Tensor block(std::int64_t index, const at::Tensor& x_TD, const BatchLayout& layout,
                   BlockRows rows) const;

  /// Final norm and head in float32: [S, D] -> [S]; not for gated heads. Gradients flow in autograd
  /// mode.
  at::Tensor head(const at::Tensor& x_SD) const;

  /// Final norm, LM head and final logit soft cap: [S, D] -> [S, V] float32. Needs `lm_head_VD`.
  at::Tensor logits(const at::Tensor& x_SD) const;

  /// Embedding and all blocks: [S, D] of the last tokens, followed by those of the gate tokens.
  at::Tensor hidden(const BatchLayout& layout) const;

  /// Full forward pass: [S] float32 scores of the responses.
  at::Tensor forward(const BatchLayout& layout) const;

  std::int64_t num_layers() const { return config_.num_layers; }
  const DecoderConfig& config() const { return config_; }
  bool is_on_gpu() const;

 private:
  BatchLayout plain_layout(const PackedBatch& batch) const;

  /// Like `block`, but in the modes without gradients x is overwritten with BlockRows::kAll.
  at::Tensor run_block(std::int64_t index, const at::Tensor& x_TD, const BatchLayout& layout,
                       BlockRows rows) const;

  DecoderConfig config_;
  struct State;
  std::unique_ptr<State> state_;
};

/// inv_freq per pair of the rotated values of a head. Computed with the operators and in the order
/// of transformers 5.17, modeling_rope_utils.py, because an ulp here grows with the position.
///
/// Dynamic NTK and LongRoPE: a sequence longer than the original length has frequencies that depend
/// on its own length alone (transformers uses the longest sequence of a batch and, with dynamic,
/// keeps those of the longest seen so far).
RopeFrequencies rope_frequencies(const RopeConfig& rope, std::int64_t rotary_dim);

AttentionHeads attention_heads(const DecoderConfig& config);

/// Attention kernel of GPU mode; tested on the device.
AttentionKernel choose_attention_kernel(const DecoderConfig& config, at::ScalarType dtype,
                                        const at::Device& device);

/// The fastest row-invariant backend, tested on this machine for every weight shape. Throws
/// kResource when there is none.
GemmBackend choose_gemm_backend(const DecoderConfig& config, const DecoderWeights& weights);

}  // namespace charm::engine
