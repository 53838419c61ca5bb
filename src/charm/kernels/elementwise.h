#pragma once

#include <bit>
#include <cstdint>

#include "charm/kernels/kernels.h"

namespace charm::kernels {

inline float widened(float v) { return v; }
inline float widened(BFloat16 v) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(v.bits) << 16);
}

inline void narrow_to(float v, float& out) { out = v; }
/// To nearest even; v is no NaN.
inline void narrow_to(float v, BFloat16& out) {
  const auto bits = std::bit_cast<std::uint32_t>(v);
  out.bits = static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

/// to += x, each sum rounded once.
template <typename Element>
void add(Element* to, const Element* x, std::int64_t count);

/// x *= factor, each product rounded once.
template <typename Element>
void scale(Element* x, float factor, std::int64_t count);

/// x = cap * tanh(x / cap) in place: the soft cap of final logits. The division is rounded to
/// float32, tanh is computed in float64.
void softcap(float* x, float cap, std::int64_t count);

}  // namespace charm::kernels
