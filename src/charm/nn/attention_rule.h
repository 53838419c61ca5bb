#pragma once

#include <cstdint>

namespace charm::nn {

/// What families differ in. Source of the formulas: transformers 5.17, eager_attention_forward of
/// modeling_gemma2.py.
struct AttentionRule {
  double scale = 0.0;  ///< of q.k; 0: 1/sqrt(E)
  std::int64_t window =
      0;  ///< a token sees itself and the window-1 positions before it; 0: all of them
  double softcap = 0.0;  ///< logits become softcap * tanh(logits / softcap); 0: as they are
};

}  // namespace charm::nn
