#pragma once

#include <vector>

#include "charm/engine/decoder.h"
#include "charm/engine/token_batch.h"
#include "tests/support/small_decoders.h"

namespace charm::engine {

/// A decoder with random weights, and the session of its one caller.
struct SmallDecoder {
  SmallDecoder(const DecoderConfig& config, DType dtype)
      : decoder(config, random_weights(config, /*seed=*/11), dtype), session(config) {}

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
