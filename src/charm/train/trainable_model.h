#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "charm/engine/decoder.h"
#include "charm/engine/decoder_weights.h"

namespace charm::train {

/// A weight in training.
struct Parameter {
  std::string name;    ///< Hugging Face name
  at::Tensor master;   ///< float32 master weight, updated by the optimiser and saved
  at::Tensor compute;  ///< weight of the forward pass: the master itself, or its bfloat16 copy
  at::Tensor
      gradient;  ///< float32, accumulated over the step's batches; undefined for a frozen weight
  bool decays = false;  ///< weight decay applies: to matrices, not to norms and biases (as in
                        ///< transformers' Trainer)
  bool trainable() const { return gradient.defined(); }
};

struct TrainableOptions {
  at::ScalarType compute_dtype = at::kFloat;  ///< float32 or bfloat16
  bool train_embeddings = true;
  std::int64_t freeze_layers = 0;  ///< freezes the embeddings and the first N layers
};

/// A decoder with float32 master weights, compute copies and gradients (mixed precision). Norms and
/// head always compute in float32. Not thread-safe.
class TrainableModel {
 public:
  /// `master` in float32 on the device to train on, with a head; shared, not copied.
  TrainableModel(const engine::DecoderConfig& config, engine::DecoderWeights master,
                 const TrainableOptions& options);

  const engine::Decoder& decoder() const { return *decoder_; }
  const engine::DecoderConfig& config() const { return decoder_->config(); }
  /// The float32 weights, for saving.
  engine::DecoderWeights& master() { return master_; }
  std::vector<Parameter>& parameters() { return parameters_; }

  /// nullptr when the embedding is frozen.
  Parameter* embedding() {
    return parameters_.front().trainable() ? &parameters_.front() : nullptr;
  }
  /// Trainable weights of one block.
  std::vector<Parameter*> block_parameters(std::int64_t layer);
  /// Trainable weights after the blocks: final norm and head.
  std::vector<Parameter*> head_parameters();
  /// First block with a trainable weight.
  std::int64_t first_trainable_block() const { return options_.freeze_layers; }

  void zero_gradients();
  /// Copies the master weights to the compute copies; call after every step.
  void refresh_compute_weights();

 private:
  TrainableOptions options_;
  engine::DecoderWeights master_;
  std::vector<Parameter> parameters_;
  std::vector<std::int64_t> layers_;  ///< of each parameter: -1 embedding, 0 .. num_layers - 1
                                      ///< blocks, num_layers final norm and head
  std::unique_ptr<engine::Decoder> decoder_;
};

}  // namespace charm::train
