#pragma once

#include <cstdint>

#include "charm/kernels/micro_kernel.h"

// The online softmax of one attention tile: up to kTileRows query rows of one head against blocks
// of kBlockKeys keys. Internal to this folder.
namespace charm::kernels {

inline constexpr std::int64_t kTileRows = 48;
inline constexpr std::int64_t kBlockKeys = 64;

/// Packed K and V of up to kBlockKeys tokens; see attention_pack.h.
struct PackedBlock {
  const std::uint32_t* keys = nullptr;    ///< [steps of E][kBlockKeys]
  const std::uint32_t* values = nullptr;  ///< [steps of kBlockKeys][padded E]
  std::int64_t length = 0;                ///< keys without padding
  std::int64_t first = 0;  ///< position of the first key, counted from the sequence's start
};

/// Accumulators of a tile's rows; all arrays are private to the calling thread.
struct TileState {
  float* out = nullptr;     ///< [kTileRows][padded E], not yet normalised
  float* logits = nullptr;  ///< [kTileRows][kBlockKeys]
  std::uint32_t* weights =
      nullptr;  ///< [kTileRows][kBlockKeys] unnormalised probabilities in the micro-kernel's layout
  float* row_max = nullptr;  ///< [kTileRows], running maximum
  float* row_sum = nullptr;  ///< [kTileRows], running sum of exponentials
  float* rescale = nullptr;  ///< [kTileRows], exp(old maximum - new maximum)
};

struct SoftmaxParams {
  std::int64_t rows = 0;
  std::int64_t first_position = 0;  ///< of the first row in its sequence
  std::int64_t position_step = 1;   ///< from row to row; 0: the rows are heads of one token
  float scale = 1.0f;
  std::int64_t window = 0;
  float softcap = 0.0f;
};

/// Dispatched by instruction set.
struct SoftmaxKernels {
  /// Logits of one block -> probabilities in float32 or bfloat16; updates row_max, row_sum and
  /// rescale.
  void (*softmax_f32)(const TileState& state, const PackedBlock& block,
                      const SoftmaxParams& params);
  void (*softmax_bf16)(const TileState& state, const PackedBlock& block,
                       const SoftmaxParams& params);
};

SoftmaxKernels softmax_kernels();

}  // namespace charm::kernels
