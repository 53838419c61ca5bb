#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

#include <array>
#include <cstdint>
#include <vector>

#include "charm/kernels/kernels.h"

namespace charm::nn {

/// Keys and values of one prompt in every layer: what a batch leaves to the next.
struct KeptPrompt {
  std::vector<std::int32_t> ids;         ///< empty: nothing is kept
  std::vector<at::Tensor> keys, values;  ///< Mode::kInference: [rows, K*E] each
  std::vector<at::Tensor> kv;            ///< Mode::kGpu: [rows, 2*K*E]
};

/// Memory that the blocks of a decoder use one after the other in inference mode, so that none is
/// allocated in the steady state. Not safe for concurrent use.
class BlockWorkspace {
 public:
  enum Slot { kNormed, kQueries, kKeys, kValues, kAttended, kHidden, kBranch, kNumSlots };

  /// [rows, width] of the slot's memory, uninitialised; what was taken from the slot before is
  /// overwritten.
  at::Tensor take(Slot slot, std::int64_t rows, std::int64_t width,
                  const at::TensorOptions& options) {
    at::Tensor& memory = slots_[slot];
    if (!memory.defined() || memory.dtype() != options.dtype() || memory.numel() < rows * width) {
      memory = at::Tensor();  // returned before the larger one is taken
      memory = at::empty({rows * width}, options);
    }
    return memory.narrow(0, 0, rows * width).view({rows, width});
  }

  kernels::HugePageBuffer& packed_kv() { return packed_kv_; }
  KeptPrompt& kept_prompt() { return kept_prompt_; }

 private:
  KeptPrompt kept_prompt_;
  kernels::HugePageBuffer packed_kv_;
  std::array<at::Tensor, kNumSlots> slots_;
};

}  // namespace charm::nn
