#pragma once

#include <cstdint>

#include "charm/kernels/kernels.h"
#include "charm/kernels/tile_product.h"

// What happens to a tile of sums before it is stored. Internal to this folder.
namespace charm::kernels {

template <typename Element>
struct EpilogueTile {
  const float* sums = nullptr;  ///< [kProductRows][kProductColumns]; of a gated pair, the gate's
                                ///< half before the other
  const float* bias = nullptr;  ///< [kProductColumns], may be null
  std::int64_t rows = 0;
  std::int64_t columns =
      0;  ///< of the output; at most kProductColumns, or half of that for a gated pair
  Element* out = nullptr;
  std::int64_t row_stride = 0;
};

template <typename Element>
struct Epilogues {
  void (*store)(const EpilogueTile<Element>& tile);     ///< out = sums + bias
  void (*add)(const EpilogueTile<Element>& tile);       ///< out = out + (sums + bias)
  void (*silu_mul)(const EpilogueTile<Element>& tile);  ///< out = silu(gate) * up
  void (*gelu_mul)(const EpilogueTile<Element>& tile);  ///< out = gelu(gate) * up
  void (*gelu_tanh_mul)(
      const EpilogueTile<Element>& tile);  ///< the same with the approximation by tanh
};

/// The versions for this machine's best instruction set.
template <typename Element>
Epilogues<Element> epilogues();

}  // namespace charm::kernels
