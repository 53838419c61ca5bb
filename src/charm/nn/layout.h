#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "charm/batch/token_batch.h"

namespace charm::nn {

// T packed tokens, S responses, E head width.

/// A packed batch as the blocks see it: where each sequence lies, and the rope tables of its positions.
struct BatchLayout {
  at::Tensor ids_T;   ///< int64, on the model's device
  at::Tensor cos_TE;  ///< float32 [T, E], positions' cosines (both halves filled)
  at::Tensor sin_TE;  ///< float32 [T, E]
  at::Tensor last_S;  ///< int64, packed index of each response's last token
  std::vector<batch::Segment> prompts;
  std::vector<batch::Segment> responses;
  std::int64_t num_tokens = 0;     ///< real tokens; T may be padded up to a multiple of the GEMM's row count
  std::int64_t num_responses = 0;
};

}  // namespace charm::nn
