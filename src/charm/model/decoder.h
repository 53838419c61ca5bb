#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>

#include "charm/batch/token_batch.h"
#include "charm/model/decoder_weights.h"
#include "charm/model/model_config.h"
#include "charm/nn/attention.h"
#include "charm/nn/layout.h"
#include "charm/nn/linear.h"

namespace charm::model {

// T packed tokens, S responses, D model width.

/// The decoder: embed -> N blocks -> final norm -> head at each response's last token. The only
/// forward pass of the program: scoring runs it in inference or GPU mode, the trainer runs the same
/// blocks in autograd mode. Not safe for concurrent calls on one object.
class Decoder {
 public:
  /// In inference mode the weights are repacked block by block and their originals released, so
  /// that they exist once; the mode needs a CPU. In GPU mode they are joined in the same way, on
  /// their device. In autograd mode the given tensors are used as they are (they may require
  /// gradients) and are shared.
  /// @param backend    of inference mode
  /// @param attention  of GPU mode
  Decoder(DecoderConfig config, DecoderWeights weights, nn::Mode mode,
          nn::GemmBackend backend = nn::GemmBackend::kCharm,
          nn::AttentionKernel attention = nn::AttentionKernel::kPadded);
  ~Decoder();
  Decoder(Decoder&&) noexcept;

  /// Offsets, positions and rope tables of a batch on the model's device; build once per batch.
  nn::BatchLayout layout(const batch::PackedBatch& batch) const;

  /// The same for sequences that continue what lies in a cache made for `cache_shape()`; a pass
  /// over it adds their keys and values.
  nn::BatchLayout layout(const batch::CachedBatch& batch, nn::KvCache& cache) const;
  nn::KvCacheShape cache_shape() const;

  /// ids -> [T, D]. Gradients flow to the embedding.
  at::Tensor embed(const nn::BatchLayout& layout) const;

  /// What `embed` multiplies the table's rows with.
  double embedding_scale() const;

  /// One block: [T, D] -> [T, D], or [S, D] with BlockRows::kLast. Gradients flow in autograd mode.
  at::Tensor block(std::int64_t index, const at::Tensor& x_TD, const nn::BatchLayout& layout,
                   nn::BlockRows rows) const;

  /// Final norm and head in float32: [S, D] -> [S]; not for heads with a gating network. Gradients
  /// flow in autograd mode.
  at::Tensor head(const at::Tensor& x_SD) const;

  /// Final norm, output layer and the soft cap where the config has one: [S, D] -> [S, V] float32.
  /// Needs `lm_head_VD`.
  at::Tensor logits(const at::Tensor& x_SD) const;

  /// Embedding and all blocks: [S, D] of the last tokens, and behind them those of the gates.
  at::Tensor hidden(const nn::BatchLayout& layout) const;

  /// The whole pass: [S] float32 scores of the real responses.
  at::Tensor forward(const nn::BatchLayout& layout) const;

  std::int64_t num_layers() const { return config_.num_layers; }
  const DecoderConfig& config() const { return config_; }
  bool is_on_gpu() const;

 private:
  nn::BatchLayout plain_layout(const batch::PackedBatch& batch) const;

  /// Like `block`, but in the modes without gradients x is overwritten with BlockRows::kAll.
  at::Tensor run_block(std::int64_t index, const at::Tensor& x_TD, const nn::BatchLayout& layout,
                       nn::BlockRows rows) const;

  DecoderConfig config_;
  struct State;
  std::unique_ptr<State> state_;
};

nn::AttentionHeads attention_heads(const DecoderConfig& config);

/// How attention runs in GPU mode; tried on the device.
nn::AttentionKernel choose_attention_kernel(const DecoderConfig& config, at::ScalarType dtype,
                                            const at::Device& device);

/// The fastest backend that gives rows the same bits in any batch, checked on this machine for
/// every shape of the weights. Throws kResource when none does.
nn::GemmBackend choose_gemm_backend(const DecoderWeights& weights);

}  // namespace charm::model
