#pragma once

#include <bit>
#include <cstdint>
#include <vector>

#include "charm/base/random.h"
#include "charm/kernels/kernels.h"

// Random values of both element types for tests of kernels.
namespace charm::kernels::testing_support {

inline float value_of(float v) { return v; }
inline float value_of(BFloat16 v) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(v.bits) << 16);
}

inline float element_of(float v, float) { return v; }
inline BFloat16 element_of(float v, BFloat16) {
  const auto bits = std::bit_cast<std::uint32_t>(v);
  return {static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16)};
}

template <typename Element>
std::vector<Element> random_elements(std::int64_t count, std::uint64_t index) {
  RandomStream stream(17, "element_values", index);
  std::vector<Element> values;
  for (std::int64_t i = 0; i < count; ++i)
    values.push_back(element_of(static_cast<float>(stream.normal()), Element{}));
  return values;
}

template <typename Element>
std::vector<float> values_of(const Element* from, std::int64_t count) {
  std::vector<float> values;
  for (std::int64_t i = 0; i < count; ++i) values.push_back(value_of(from[i]));
  return values;
}

}  // namespace charm::kernels::testing_support
