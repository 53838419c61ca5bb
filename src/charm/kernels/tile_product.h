#pragma once

#include <cstdint>

// The innermost product of this folder: a few rows against columns that lie ready in memory.
// Attention and the linear layers use it.
namespace charm::kernels {

inline constexpr std::int64_t kProductRows = 6;      ///< rows the product computes together
inline constexpr std::int64_t kProductColumns = 64;  ///< columns are a multiple of this

/// c[r, n] = c[r, n] * keep[r] + sum_k a[r, k] b[k, n], or without c where `keep` is null. A step
/// of k is one float32, or a pair of bfloat16 whose products are both added. Columns are a multiple
/// of kProductColumns. The steps are added one after the other, so an element's bits depend on its
/// row of a and column of b alone.
using TileProduct = void (*)(const std::uint32_t* a, std::int64_t a_stride, const std::uint32_t* b,
                             std::int64_t b_stride, std::int64_t steps, float* c,
                             std::int64_t c_stride, std::int64_t rows, std::int64_t columns,
                             const float* keep);

/// float32 steps.
TileProduct product_of_float32();

/// bfloat16 pairs: by VDPBF16PS where the machine has it, elsewhere widened to float32 in
/// registers.
TileProduct product_of_bfloat16();

namespace internal {
/// The version for AVX512-BF16; null where the machine or the compiler's target lacks it.
TileProduct native_bfloat16_product();
TileProduct widened_bfloat16_product();
}  // namespace internal

}  // namespace charm::kernels
