#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "charm/engine/model_config.h"
#include "charm/engine/training_block.h"

namespace charm::engine {

/// Memory of one block's activations for a batch, in bytes.
struct ActivationBytes {
  double input = 0.0;      ///< its input, which is always kept
  double attention = 0.0;  ///< what Stored::kAttention adds
  double mlp = 0.0;        ///< what Stored::kAll adds to that
};

ActivationBytes activation_bytes(const DecoderConfig& config, std::int64_t tokens,
                                 std::size_t element_bytes);

/// What each of the blocks from `first_block` on stores for batches of `tokens`, so that all
/// together take at most `limit_bytes`; blocks before it store nothing. The last block's backward
/// pass directly follows its forward pass, so it always stores all. Attention is stored first: it
/// costs more to recompute per byte. Throws kResource, naming the memory needed, where even the
/// inputs and one recomputed block take more; a limit of 0 is none, and stores inputs alone.
std::vector<Stored> plan_activations(const DecoderConfig& config, std::int64_t first_block,
                                     std::int64_t tokens, std::size_t element_bytes,
                                     double limit_bytes);

}  // namespace charm::engine
