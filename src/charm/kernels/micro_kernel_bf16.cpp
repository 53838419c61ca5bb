#include "charm/kernels/micro_kernel.h"

// Micro-kernel for bfloat16 pairs with VDPBF16PS. Highway 1.0 has no target for it, so this file
// selects the instruction set itself.
#if defined(__x86_64__)
#include <immintrin.h>

#include <algorithm>

namespace charm::kernels {
namespace {

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bf16")

/// Register tile of kRows rows by four vectors of columns, accumulated over all steps.
template <Operand kA, int kRows>
void micro_tile(const std::uint32_t* a, std::int64_t a_stride, const std::uint32_t* b,
                std::int64_t b_stride, std::int64_t steps, float* c, std::int64_t c_stride,
                const float* beta) {
  static_assert(kMicroRows == 6 && kMicroColumns == 64);
  __m512 sum[kRows][4];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (std::int64_t i = 0; i < 4; ++i) {
      sum[r][i] = beta == nullptr ? _mm512_setzero_ps()
                                  : _mm512_mul_ps(_mm512_loadu_ps(c + r * c_stride + i * 16),
                                                  _mm512_set1_ps(beta[r]));
    }
  }
  const std::int64_t row_stride = kA == Operand::kRows ? a_stride : 1;
  const std::int64_t step_stride = kA == Operand::kRows ? 1 : a_stride;
  for (std::int64_t k = 0; k < steps; ++k, a += step_stride, b += b_stride) {
    __m512bh columns[4];
#pragma GCC unroll 8
    for (std::int64_t i = 0; i < 4; ++i) columns[i] = (__m512bh)_mm512_loadu_si512(b + i * 16);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const __m512bh x = (__m512bh)_mm512_set1_epi32(static_cast<int>(a[r * row_stride]));
#pragma GCC unroll 8
      for (std::int64_t i = 0; i < 4; ++i) sum[r][i] = _mm512_dpbf16_ps(sum[r][i], x, columns[i]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (std::int64_t i = 0; i < 4; ++i) _mm512_storeu_ps(c + r * c_stride + i * 16, sum[r][i]);
  }
}

template <Operand kA>
void run_micro_kernel(const std::uint32_t* a, std::int64_t a_stride, const std::uint32_t* b,
                      std::int64_t b_stride, std::int64_t steps, float* c, std::int64_t c_stride,
                      std::int64_t rows, std::int64_t columns, const float* beta) {
  // Indexed by the number of rows less one.
  constexpr decltype(&micro_tile<kA, 1>) kTiles[kMicroRows] = {
      micro_tile<kA, 1>, micro_tile<kA, 2>, micro_tile<kA, 3>,
      micro_tile<kA, 4>, micro_tile<kA, 5>, micro_tile<kA, 6>};
  const std::int64_t row_stride = kA == Operand::kRows ? a_stride : 1;
  for (std::int64_t n = 0; n < columns; n += kMicroColumns) {
    for (std::int64_t r = 0; r < rows; r += kMicroRows) {
      kTiles[std::min(rows - r, kMicroRows) - 1](a + r * row_stride, a_stride, b + n, b_stride,
                                                 steps, c + r * c_stride + n, c_stride,
                                                 beta == nullptr ? nullptr : beta + r);
    }
  }
}

#pragma GCC pop_options

}  // namespace

MicroKernel internal::native_bf16_micro_kernel(Operand a) {
  if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bf16")) return nullptr;
  return a == Operand::kRows ? run_micro_kernel<Operand::kRows> : run_micro_kernel<Operand::kSteps>;
}

}  // namespace charm::kernels

#else

namespace charm::kernels {
MicroKernel internal::native_bf16_micro_kernel(Operand) { return nullptr; }
}  // namespace charm::kernels

#endif
