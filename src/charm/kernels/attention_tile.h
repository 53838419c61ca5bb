#pragma once

#include <cstdint>

#include "charm/kernels/tile_product.h"

// One tile of attention: up to kTileRows query rows of one head against blocks of kBlockKeys keys.
// Internal to this folder.
namespace charm::kernels {

inline constexpr std::int64_t kTileRows = 48;
inline constexpr std::int64_t kBlockKeys = 64;

/// Keys and values of up to kBlockKeys tokens, reordered for the product; see attention_pack.h.
struct PackedBlock {
  const std::uint32_t* keys = nullptr;    ///< [steps of E][kBlockKeys]
  const std::uint32_t* values = nullptr;  ///< [steps of kBlockKeys][padded E]
  std::int64_t length = 0;                ///< real keys
  std::int64_t first = 0;  ///< position of the first key, counted from the sequence's start
};

/// The running state of a tile's rows; all arrays belong to the calling thread.
struct TileState {
  float* out = nullptr;     ///< [kTileRows][padded E], not yet divided by the sum
  float* logits = nullptr;  ///< [kTileRows][kBlockKeys]
  std::uint32_t* weights =
      nullptr;               ///< [kTileRows][kBlockKeys] probabilities as the product wants them
  float* largest = nullptr;  ///< [kTileRows]
  float* sum = nullptr;      ///< [kTileRows]
  float* keep = nullptr;     ///< [kTileRows]
};

struct SoftmaxRule {
  std::int64_t rows = 0;
  std::int64_t first_position = 0;  ///< of the first row, counted from the sequence's start
  std::int64_t position_step = 1;   ///< from row to row; 0: the rows are heads of one token
  float scale = 1.0f;
  std::int64_t window = 0;
  float softcap = 0.0f;
};

/// What differs by instruction set.
struct TileKernels {
  /// logits of one block -> probabilities in float32 or bfloat16; updates largest, sum and keep.
  void (*softmax_f32)(const TileState& state, const PackedBlock& block, const SoftmaxRule& rule);
  void (*softmax_bf16)(const TileState& state, const PackedBlock& block, const SoftmaxRule& rule);
};

TileKernels tile_kernels();

}  // namespace charm::kernels
