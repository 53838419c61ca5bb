#pragma once

#include <cstdint>

#include "charm/kernels/kernels.h"
#include "charm/kernels/micro_kernel.h"

// GEMM epilogues: applied to a tile of accumulators before it is stored. Internal to this folder.
namespace charm::kernels {

template <typename Element>
struct EpilogueTile {
  const float* sums =
      nullptr;  ///< [kMicroRows][kMicroColumns]; gated: the gate's half, then the up half
  const float* bias = nullptr;  ///< [kMicroColumns], may be null
  std::int64_t rows = 0;
  std::int64_t columns = 0;  ///< of the output; at most kMicroColumns, half of that when gated
  Element* out = nullptr;
  std::int64_t row_stride = 0;
};

template <typename Element>
struct Epilogues {
  void (*store)(const EpilogueTile<Element>& tile);          ///< out = sums + bias
  void (*add)(const EpilogueTile<Element>& tile);            ///< out = out + (sums + bias)
  void (*silu_mul)(const EpilogueTile<Element>& tile);       ///< out = silu(gate) * up
  void (*gelu_mul)(const EpilogueTile<Element>& tile);       ///< out = gelu(gate) * up
  void (*gelu_tanh_mul)(const EpilogueTile<Element>& tile);  ///< with the tanh approximation
};

/// The epilogues for the CPU's best instruction set.
template <typename Element>
Epilogues<Element> epilogues();

}  // namespace charm::kernels
