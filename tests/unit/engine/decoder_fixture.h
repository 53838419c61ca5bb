#pragma once

#include <algorithm>
#include <vector>

#include "charm/engine/decoder.h"
#include "charm/engine/token_batch.h"
#include "tests/support/small_decoders.h"

namespace charm::engine {

/// Random weights; gated delta nets remember for some twenty tokens, or a prompt's state would
/// hardly matter.
inline DecoderWeights small_weights(const DecoderConfig& config) {
  DecoderWeights weights = random_weights(config, /*seed=*/11);
  for (BlockWeights& block : weights.blocks) {
    if (!block.delta_a_log_H.defined()) continue;
    auto* log = block.delta_a_log_H.mutable_data<float>();
    std::fill_n(log, block.delta_a_log_H.numel(), -3.0F);
  }
  return weights;
}

/// A decoder with random weights, and the session of its one caller.
struct SmallDecoder {
  SmallDecoder(const DecoderConfig& config, DType dtype)
      : decoder(config, small_weights(config), dtype), session(config) {}

  BatchLayout layout(const PackedBatch& batch) { return decoder.layout(batch, session); }

  std::vector<float> score(const BatchLayout& layout) {
    const Tensor scores_S = decoder.forward(layout, session);
    return {scores_S.data<float>(), scores_S.data<float>() + scores_S.numel()};
  }
  std::vector<float> score(const std::vector<PromptGroup>& groups) {
    return score(layout(pack(groups)));
  }

  Decoder decoder;
  DecoderSession session;
};

}  // namespace charm::engine
