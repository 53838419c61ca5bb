#pragma once

#include <cstdint>

namespace charm::kernels {

/// weights[i] = exp((logits[i] - max) * scale) in float32; the largest is 1. Logits may be
/// -infinity (weight 0). The sum of all is returned in float64; its order depends on `count` alone.
double softmax_weights(const float* logits, std::int64_t count, float scale, float* weights);

}  // namespace charm::kernels
