#pragma once

#include <cstdint>

#include "charm/kernels/gemm.h"

// Hyperparameters of a decoder block that differ between families. No torch.
namespace charm::engine {

/// Activation of the gated MLP.
using Activation = kernels::GateFunction;

/// Source of the formulas: transformers 5.17, eager_attention_forward of modeling_gemma2.py.
struct AttentionConfig {
  double scale = 0.0;       ///< of q.k; 0: 1/sqrt(E)
  std::int64_t window = 0;  ///< sliding window: a token attends to itself and the window-1
                            ///< positions before it; 0: none
  double softcap = 0.0;     ///< logits become softcap * tanh(logits / softcap); 0: none
};

/// RMSNorm.
struct NormConfig {
  double eps = 1e-6;
  double weight_offset =
      0.0;  ///< added to the weight; 1 in Gemma, whose weights are stored around 0
};

}  // namespace charm::engine
