#pragma once

#include <cstdint>
#include <vector>

#include "charm/base/random.h"
#include "charm/kernels/kernels.h"

// Random values of both element types for tests of kernels.
namespace charm::kernels::testing_support {

template <typename Element>
Element element_of(float v) {
  Element element;
  narrow_to(v, element);
  return element;
}

template <typename Element>
std::vector<Element> random_elements(std::int64_t count, std::uint64_t index) {
  RandomStream stream(17, "element_values", index);
  std::vector<Element> values;
  for (std::int64_t i = 0; i < count; ++i)
    values.push_back(element_of<Element>(static_cast<float>(stream.normal())));
  return values;
}

template <typename Element>
std::vector<float> values_of(const Element* from, std::int64_t count) {
  std::vector<float> values;
  for (std::int64_t i = 0; i < count; ++i) values.push_back(widened(from[i]));
  return values;
}

}  // namespace charm::kernels::testing_support
