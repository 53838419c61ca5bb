#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "charm/engine/decoder_weights.h"
#include "charm/engine/model_config.h"
#include "charm/torch/block.h"
#include "charm/torch/head.h"
#include "charm/torch/kv_cache.h"
#include "charm/torch/layout.h"
#include "charm/torch/tensors.h"

namespace charm::torch {

// T packed tokens, S responses, D model width, V vocabulary.

/// The decoder on a device: embed -> N blocks -> final norm -> head at each response's last token.
/// Scoring, generation and training run this one. Immutable; thread-safe.
class Decoder {
 public:
  /// @param weights    where the tensors are, for `place`; not kept
  /// @param attention  chosen for the device (`choose_attention_kernel`)
  Decoder(const engine::DecoderConfig& config, const engine::DecoderWeights& weights,
          const Place& place, Use use, AttentionKernel attention);

  /// Plans a batch; build once per batch.
  /// @param prefix  null: no prompt is reused
  Layout layout(const engine::PackedBatch& batch, PrefixCache* prefix) const;
  Layout layout(const engine::CachedBatch& batch, KvCache& cache) const;

  /// ids -> [T, D].
  at::Tensor embed(const Layout& layout) const;
  /// Factor of the embeddings, rounded to the model's dtype.
  double embedding_scale() const { return embedding_scale_; }

  /// One block: [T, D] -> [T, D], or [S, D] with BlockRows::kLast. Gradients flow.
  at::Tensor block(std::int64_t index, const at::Tensor& x_TD, const Layout& layout,
                   BlockRows rows) const;

  /// Final norm and head in float32: [S, D] -> [S]; not for gated heads. Gradients flow. Without
  /// the normalisation of scores in training, as OpenRLHF trains.
  at::Tensor head(const at::Tensor& x_SD) const;

  /// Final norm, LM head and final logit soft cap: [S, D] -> [S, V] float32.
  at::Tensor logits(const at::Tensor& x_SD) const;

  /// Embedding and all blocks: [S, D] of the last tokens, followed by those of the gate tokens.
  at::Tensor hidden(const Layout& layout) const;

  /// [S] float32 scores of the responses.
  at::Tensor forward(const Layout& layout) const;

  const engine::DecoderConfig& config() const { return config_; }
  const at::Device& device() const { return layout_options_.device; }
  at::ScalarType dtype() const { return embed_VD_.scalar_type(); }

 private:
  engine::DecoderConfig config_;
  engine::NormConfig norm_;
  LayoutOptions layout_options_;
  Use use_;
  double embedding_scale_ = 1.0;
  at::Tensor embed_VD_, final_norm_D_, lm_head_VD_;
  std::vector<Frequencies> ropes_;  ///< global, then local where there is one
  std::vector<Block> blocks_;
  std::vector<HeadLayer> head_;
  GatedHead gated_head_;
};

AttentionHeads attention_heads(const engine::DecoderConfig& config);

/// The attention kernel for a model; tested on the device.
AttentionKernel choose_attention_kernel(const engine::DecoderConfig& config, at::ScalarType dtype,
                                        const at::Device& device);

}  // namespace charm::torch
