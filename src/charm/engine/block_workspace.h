#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "charm/engine/tensor.h"
#include "charm/kernels/kernels.h"

namespace charm::engine {

/// Buffers that a decoder's blocks reuse, so that nothing is allocated in the steady state. Not
/// thread-safe.
class BlockWorkspace {
 public:
  enum Slot {
    kNormed,
    kQueries,
    kKeys,
    kValues,
    kAttended,
    kHidden,
    kBranch,
    kGathered,
    kNumSlots
  };

  /// [rows, width] of the slot's buffer, uninitialised; invalidates what was taken from the slot
  /// before.
  Tensor take(Slot slot, std::int64_t rows, std::int64_t width, DType dtype) {
    Tensor& memory = slots_[slot];
    if (!memory.defined() || memory.dtype() != dtype || memory.numel() < rows * width) {
      memory = Tensor();  // freed before the larger one is allocated
      memory = Tensor::empty({rows * width}, dtype);
    }
    return memory.narrow(0, rows * width).view({rows, width});
  }

  kernels::HugePageBuffer& packed_kv() { return packed_kv_; }

 private:
  kernels::HugePageBuffer packed_kv_;
  std::array<Tensor, kNumSlots> slots_;
};

/// Prefix cache of one entry: K and V of a prompt in every layer, reused by the next batch.
struct CachedPrefix {
  std::vector<std::int32_t> ids;     ///< empty: nothing cached
  std::vector<Tensor> keys, values;  ///< [rows, K*E] each
};

}  // namespace charm::engine
