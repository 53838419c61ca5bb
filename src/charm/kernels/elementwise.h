#pragma once

#include <cstdint>

#include "charm/kernels/kernels.h"

namespace charm::kernels {

/// to += x, each sum rounded once.
template <typename Element>
void add(Element* to, const Element* x, std::int64_t count);

/// x *= factor, each product rounded once.
template <typename Element>
void scale(Element* x, float factor, std::int64_t count);

/// x *= 1 / (1 + exp(-gate)), each product rounded once.
template <typename Element>
void sigmoid_mul(Element* x, const Element* gate, std::int64_t count);
/// gate = gelu(gate) * x with the tanh approximation, rounded once.
template <typename Element>
void gelu_tanh_mul(Element* gate, const Element* x, std::int64_t count);

/// x = x / 2 * (1 + erf(x / sqrt(2))), rounded once.
template <typename Element>
void gelu(Element* x, std::int64_t count);

/// x = cap * tanh(x / cap) in place: the soft cap of final logits. The division is rounded to
/// float32, tanh is computed in float64.
void softcap(float* x, float cap, std::int64_t count);

}  // namespace charm::kernels
