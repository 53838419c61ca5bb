#pragma once

#include <memory>

#include "charm/engine/model_config.h"
#include "charm/engine/reward_model.h"
#include "charm/engine/tensor.h"

namespace charm::engine {

struct DecoderWeights;

/// A bidirectional encoder with its head on the CPU: embeddings -> N blocks -> pooler and
/// classifier on each row's first token. The row's prompt is its first text, its response the
/// second (the embedding of token types tells them apart). Immutable; safe for concurrent use.
class Encoder {
 public:
  /// Packs the weights block by block in `dtype` and releases the originals. The head computes in
  /// float32.
  Encoder(DecoderConfig config, DecoderWeights weights, DType dtype);
  ~Encoder();
  Encoder(Encoder&&) noexcept;

  /// float32 [S] in the batch's order. Throws kInput for a row of more tokens than absolute
  /// positions.
  Tensor forward(const PackedBatch& batch) const;

  const DecoderConfig& config() const { return config_; }

 private:
  DecoderConfig config_;
  struct State;
  std::unique_ptr<const State> state_;
};

/// Loads an encoder as a reward model.
std::unique_ptr<RewardModel> load_encoder(const ModelSource& source, const DecoderConfig& config,
                                          const RewardModelOptions& options);

}  // namespace charm::engine
