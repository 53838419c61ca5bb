#pragma once

#include <cstdint>

// One tile of attention: up to kTileRows query rows of one head against blocks of kBlockKeys keys. Internal to this folder.
namespace charm::kernels {

inline constexpr std::int64_t kTileRows = 48;
inline constexpr std::int64_t kBlockKeys = 64;
inline constexpr std::int64_t kGemmRowStep = 6;  ///< rows the product computes together
inline constexpr std::int64_t kGemmColumns = 64;  ///< columns are a multiple of this

/// c[r, n] = c[r, n] * keep[r] + sum_k a[r, k] b[k, n], or without c where `keep` is null. A step of k is one float32, or a pair of
/// bfloat16 whose products are both added. rows are rounded up to kGemmRowStep; columns are a multiple of kGemmColumns.
using TileProduct = void (*)(const std::uint32_t* a, std::int64_t a_stride, const std::uint32_t* b, std::int64_t b_stride,
                             std::int64_t steps, float* c, std::int64_t c_stride, std::int64_t rows, std::int64_t columns,
                             const float* keep);

/// Keys and values of up to kBlockKeys tokens, reordered for the product; see attention_pack.h.
struct PackedBlock {
  const std::uint32_t* keys = nullptr;    ///< [steps of E][kBlockKeys]
  const std::uint32_t* values = nullptr;  ///< [steps of kBlockKeys][padded E]
  std::int64_t length = 0;                ///< real keys
  std::int64_t first = 0;                 ///< position of the first key, counted from the sequence's start
};

/// The running state of a tile's rows; all arrays belong to the calling thread.
struct TileState {
  float* out = nullptr;           ///< [kTileRows][padded E], not yet divided by the sum
  float* logits = nullptr;        ///< [kTileRows][kBlockKeys]
  std::uint32_t* weights = nullptr;  ///< [kTileRows][kBlockKeys] probabilities as the product wants them
  float* largest = nullptr;       ///< [kTileRows]
  float* sum = nullptr;           ///< [kTileRows]
  float* keep = nullptr;          ///< [kTileRows]
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
  TileProduct product_f32;
  /// logits of one block -> probabilities in float32 or bfloat16; updates largest, sum and keep.
  void (*softmax_f32)(const TileState& state, const PackedBlock& block, const SoftmaxRule& rule);
  void (*softmax_bf16)(const TileState& state, const PackedBlock& block, const SoftmaxRule& rule);
};

TileKernels tile_kernels();

/// Pairs of bfloat16 on avx512bf16; null where the machine lacks it.
TileProduct bfloat16_pair_product();

}  // namespace charm::kernels
