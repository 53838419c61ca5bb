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
    // K and V that later layers use, of the last layers with and without a window.
    kWindowKeys,
    kWindowValues,
    kGlobalKeys,
    kGlobalValues,
    kAttended,
    kHidden,
    kBranch,
    kGathered,
    kPerLayer,
    kPerLayerGate,
    kOutputGate,  ///< of attention or a gated delta net
    // Of a gated delta net.
    kChannels,
    kBetaInput,
    kDecayInput,
    kConvolved,
    kDecays,
    kBetas,
    kRead,
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

  /// What the slot holds since `take` with these sizes.
  Tensor kept(Slot slot, std::int64_t rows, std::int64_t width) const {
    return slots_[slot].narrow(0, rows * width).view({rows, width});
  }

  kernels::HugePageBuffer& packed_kv() { return packed_kv_; }

 private:
  kernels::HugePageBuffer packed_kv_;
  std::array<Tensor, kNumSlots> slots_;
};

/// What a sequence leaves behind in a gated delta net of W taps and C channels.
struct DeltaState {
  Tensor recurrent;  ///< of every value head, float32
  Tensor tail_WC;    ///< its last W-1 rows before the convolution, [W-1, C]
};

/// Prefix cache of one entry: what the tokens after a prompt need of it in every layer, reused by
/// the next batch.
struct CachedPrefix {
  std::vector<std::int32_t> ids;     ///< empty: nothing cached
  std::vector<Tensor> keys, values;  ///< [rows, K*E] each, of layers with attention
  std::vector<DeltaState> states;    ///< of layers with a gated delta net
};

}  // namespace charm::engine
