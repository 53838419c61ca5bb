#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "charm/batch/token_batch.h"

namespace charm::batch {

/// A batch for a head with a gating network.
struct GatedBatch {
  PackedBatch
      packed;  ///< the same responses, then one-token sequences that end with a gate's token
  std::vector<std::int64_t>
      gate_of;  ///< [S] of each original response: which of `packed.responses` ends with its gate
};

/// Rows must be split where `gate_tokens` begin, as make_pooled_row does: the hidden state behind
/// that token is wanted beside the pooled one's. Responses to one prompt share their gate.
GatedBatch add_gates(const PackedBatch& batch, std::span<const std::int32_t> gate_tokens);

}  // namespace charm::batch
