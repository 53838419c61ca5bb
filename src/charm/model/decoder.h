#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "charm/batch/token_batch.h"
#include "charm/model/decoder_weights.h"
#include "charm/model/model_config.h"
#include "charm/nn/layout.h"

namespace charm::model {

// T packed tokens, S responses, D model width.

/// Which rows a block computes.
enum class BlockRows {
  kAll,   ///< every packed token: [T, D] -> [T, D]
  kLast,  ///< only each response's last token: [T, D] -> [S, D]; keys and values of all tokens are still used
};

/// The Llama-like decoder: embed -> N blocks -> final norm -> head at each response's last token. The only forward pass of the
/// program: scoring runs it without gradients on packed weights; the trainer runs the same functions with gradients.
/// Not safe for concurrent calls on one object.
class Decoder {
 public:
  /// `weights` in one dtype on one device. With `inference` true, layouts are packed for speed and gradients cannot flow;
  /// with false, the tensors of `weights` are used as they are (they may require gradients) and are shared, not copied.
  Decoder(DecoderConfig config, DecoderWeights weights, bool inference);
  ~Decoder();
  Decoder(Decoder&&) noexcept;

  /// Offsets, positions and rope tables of a batch on the model's device; build once per batch.
  nn::BatchLayout layout(const batch::PackedBatch& batch) const;

  /// ids -> [T, D]. Gradients flow to the embedding.
  at::Tensor embed(const nn::BatchLayout& layout) const;

  /// One block. Gradients flow to x and to the block's weights (when not packed for inference).
  at::Tensor block(std::int64_t index, const at::Tensor& x_TD, const nn::BatchLayout& layout, BlockRows rows) const;

  /// Final norm and head in float32: [S, D] -> [S] float32. Gradients flow.
  at::Tensor head(const at::Tensor& x_SD) const;

  /// The whole pass: [S] float32. No recomputation: for scoring and small tests.
  at::Tensor forward(const nn::BatchLayout& layout) const;

  std::int64_t num_layers() const;
  const DecoderConfig& config() const { return config_; }

 private:
  DecoderConfig config_;
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace charm::model
