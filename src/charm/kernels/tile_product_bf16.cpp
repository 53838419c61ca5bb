#include "charm/kernels/tile_product.h"

// Products of bfloat16 pairs by VDPBF16PS. Highway 1.0 has no target with it, so this file names
// the instruction set itself.
#if defined(__x86_64__)
#include <immintrin.h>

#include <algorithm>

namespace charm::kernels {
namespace {

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bf16")

/// kRows rows times four vectors of columns, held in registers over all steps.
template <int kRows>
void product_strip(const std::uint32_t* a, std::int64_t a_stride, const std::uint32_t* b,
                   std::int64_t b_stride, std::int64_t steps, float* c, std::int64_t c_stride,
                   const float* keep) {
  static_assert(kProductRows == 6 && kProductColumns == 64);
  __m512 sum[kRows][4];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int i = 0; i < 4; ++i) {
      sum[r][i] = keep == nullptr ? _mm512_setzero_ps()
                                  : _mm512_mul_ps(_mm512_loadu_ps(c + r * c_stride + i * 16),
                                                  _mm512_set1_ps(keep[r]));
    }
  }
  for (std::int64_t k = 0; k < steps; ++k) {
    __m512bh columns[4];
#pragma GCC unroll 8
    for (int i = 0; i < 4; ++i)
      columns[i] = (__m512bh)_mm512_loadu_si512(b + k * b_stride + i * 16);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const __m512bh x = (__m512bh)_mm512_set1_epi32(static_cast<int>(a[r * a_stride + k]));
#pragma GCC unroll 8
      for (int i = 0; i < 4; ++i) sum[r][i] = _mm512_dpbf16_ps(sum[r][i], x, columns[i]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int i = 0; i < 4; ++i) _mm512_storeu_ps(c + r * c_stride + i * 16, sum[r][i]);
  }
}

void product_bf16(const std::uint32_t* a, std::int64_t a_stride, const std::uint32_t* b,
                  std::int64_t b_stride, std::int64_t steps, float* c, std::int64_t c_stride,
                  std::int64_t rows, std::int64_t columns, const float* keep) {
  // By the number of rows less one.
  constexpr decltype(&product_strip<1>) kStrips[kProductRows] = {
      product_strip<1>, product_strip<2>, product_strip<3>,
      product_strip<4>, product_strip<5>, product_strip<6>};
  for (std::int64_t n = 0; n < columns; n += kProductColumns) {
    for (std::int64_t r = 0; r < rows; r += kProductRows) {
      kStrips[std::min(rows - r, kProductRows) - 1](a + r * a_stride, a_stride, b + n, b_stride,
                                                    steps, c + r * c_stride + n, c_stride,
                                                    keep == nullptr ? nullptr : keep + r);
    }
  }
}

#pragma GCC pop_options

}  // namespace

TileProduct internal::native_bfloat16_product() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bf16") ? product_bf16
                                                                                   : nullptr;
}

}  // namespace charm::kernels

#else

namespace charm::kernels {
TileProduct internal::native_bfloat16_product() { return nullptr; }
}  // namespace charm::kernels

#endif
