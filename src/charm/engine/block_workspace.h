#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

#include <array>
#include <cstdint>
#include <vector>

#include "charm/kernels/kernels.h"

namespace charm::engine {

/// Prefix cache of one entry: K and V of a prompt in every layer, reused by the next batch.
struct CachedPrefix {
  std::vector<std::int32_t> ids;         ///< empty: nothing cached
  std::vector<at::Tensor> keys, values;  ///< Mode::kInference: [rows, K*E] each
  std::vector<at::Tensor> kv;            ///< Mode::kGpu: [rows, 2*K*E]
};

/// Buffers that a decoder's blocks reuse in inference mode, so that nothing is allocated in the
/// steady state. Not thread-safe.
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
  at::Tensor take(Slot slot, std::int64_t rows, std::int64_t width,
                  const at::TensorOptions& options) {
    at::Tensor& memory = slots_[slot];
    if (!memory.defined() || memory.dtype() != options.dtype() || memory.numel() < rows * width) {
      memory = at::Tensor();  // freed before the larger one is allocated
      memory = at::empty({rows * width}, options);
    }
    return memory.narrow(0, 0, rows * width).view({rows, width});
  }

  kernels::HugePageBuffer& packed_kv() { return packed_kv_; }
  CachedPrefix& cached_prefix() { return cached_prefix_; }

 private:
  CachedPrefix cached_prefix_;
  kernels::HugePageBuffer packed_kv_;
  std::array<at::Tensor, kNumSlots> slots_;
};

}  // namespace charm::engine
