#include "charm/kernels/micro_kernel.h"

#include <algorithm>
#include <array>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "charm/kernels/micro_kernel.cpp"
#include <hwy/foreach_target.h>  // compiles this file once per instruction set
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace charm::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
using F32 = hn::CappedTag<float, 16>;
using U32 = hn::RebindToUnsigned<F32>;
using Vec = hn::Vec<F32>;

/// A step as float32: the step itself, or one half of a bfloat16 pair.
enum class Part { kWhole, kLow, kHigh };

template <Part kPart>
HWY_INLINE Vec part_of(hn::Vec<U32> step) {
  if constexpr (kPart == Part::kLow) return hn::BitCast(F32(), hn::ShiftLeft<16>(step));
  if constexpr (kPart == Part::kHigh)
    return hn::BitCast(F32(), hn::And(step, hn::Set(U32(), 0xffff0000u)));
  return hn::BitCast(F32(), step);
}

template <Part kPart, int kRows, int kVectors>
HWY_INLINE void add_step(const std::uint32_t* a, std::int64_t row_stride, const std::uint32_t* b,
                         Vec (&sum)[kRows][kVectors]) {
  const U32 u32;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(u32));
  Vec columns[kVectors];
#pragma GCC unroll 8
  for (int i = 0; i < kVectors; ++i) columns[i] = part_of<kPart>(hn::LoadU(u32, b + i * lanes));
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
    const Vec x = part_of<kPart>(hn::Set(u32, a[r * row_stride]));
#pragma GCC unroll 8
    for (int i = 0; i < kVectors; ++i) sum[r][i] = hn::MulAdd(x, columns[i], sum[r][i]);
  }
}

/// Register tile of kRows rows by `kVectors` vectors of columns, accumulated over all steps.
template <Operand kA, bool kPairs, int kVectors, int kRows>
void micro_tile(const std::uint32_t* a, std::int64_t a_stride, const std::uint32_t* b,
                std::int64_t b_stride, std::int64_t steps, float* c, std::int64_t c_stride,
                const float* beta) {
  const F32 d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  Vec sum[kRows][kVectors];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int i = 0; i < kVectors; ++i) {
      sum[r][i] = beta == nullptr
                      ? hn::Zero(d)
                      : hn::Mul(hn::LoadU(d, c + r * c_stride + i * lanes), hn::Set(d, beta[r]));
    }
  }
  const std::int64_t row_stride = kA == Operand::kRows ? a_stride : 1;
  const std::int64_t step_stride = kA == Operand::kRows ? 1 : a_stride;
  for (std::int64_t k = 0; k < steps; ++k, a += step_stride, b += b_stride) {
    if constexpr (kPairs) {
      add_step<Part::kLow, kRows, kVectors>(a, row_stride, b, sum);
      add_step<Part::kHigh, kRows, kVectors>(a, row_stride, b, sum);
    } else {
      add_step<Part::kWhole, kRows, kVectors>(a, row_stride, b, sum);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int i = 0; i < kVectors; ++i) hn::StoreU(sum[r][i], d, c + r * c_stride + i * lanes);
  }
}

using MicroTile = void (*)(const std::uint32_t*, std::int64_t, const std::uint32_t*, std::int64_t,
                           std::int64_t, float*, std::int64_t, const float*);

/// Indexed by the number of rows less one.
template <Operand kA, bool kPairs, int kVectors>
constexpr std::array<MicroTile, kMicroRows> micro_tiles() {
  return {micro_tile<kA, kPairs, kVectors, 1>, micro_tile<kA, kPairs, kVectors, 2>,
          micro_tile<kA, kPairs, kVectors, 3>, micro_tile<kA, kPairs, kVectors, 4>,
          micro_tile<kA, kPairs, kVectors, 5>, micro_tile<kA, kPairs, kVectors, 6>};
}

template <Operand kA, bool kPairs>
void run_micro_kernel(const std::uint32_t* a, std::int64_t a_stride, const std::uint32_t* b,
                      std::int64_t b_stride, std::int64_t steps, float* c, std::int64_t c_stride,
                      std::int64_t rows, std::int64_t columns, const float* beta) {
  // 6 x 4 vectors need 29 registers, 6 x 2 need 15.
  constexpr int kVectors = HWY_TARGET <= HWY_AVX3 ? 4 : 2;
  const std::int64_t width = kVectors * static_cast<std::int64_t>(hn::Lanes(F32()));
  constexpr auto kTiles = micro_tiles<kA, kPairs, kVectors>();
  const std::int64_t row_stride = kA == Operand::kRows ? a_stride : 1;
  for (std::int64_t n = 0; n < columns; n += width) {
    for (std::int64_t r = 0; r < rows; r += kMicroRows) {
      kTiles[std::min(rows - r, kMicroRows) - 1](a + r * row_stride, a_stride, b + n, b_stride,
                                                 steps, c + r * c_stride + n, c_stride,
                                                 beta == nullptr ? nullptr : beta + r);
    }
  }
}

MicroKernel f32_micro_kernel(Operand a) {
  return a == Operand::kRows ? run_micro_kernel<Operand::kRows, false>
                             : run_micro_kernel<Operand::kSteps, false>;
}
MicroKernel widened_bf16_micro_kernel(Operand a) {
  return a == Operand::kRows ? run_micro_kernel<Operand::kRows, true>
                             : run_micro_kernel<Operand::kSteps, true>;
}

}  // namespace HWY_NAMESPACE
}  // namespace charm::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace charm::kernels {

#if defined(__x86_64__)
// bfloat16 pairs with VDPBF16PS. Highway 1.0 has no target for it, so this part selects the
// instruction set itself.
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
#else
MicroKernel internal::native_bf16_micro_kernel(Operand) { return nullptr; }
#endif

HWY_EXPORT(f32_micro_kernel);
HWY_EXPORT(widened_bf16_micro_kernel);

MicroKernel micro_kernel_f32(Operand a) { return HWY_DYNAMIC_DISPATCH(f32_micro_kernel)(a); }

MicroKernel micro_kernel_bf16(Operand a) {
  const MicroKernel native = internal::native_bf16_micro_kernel(a);
  return native != nullptr ? native : internal::widened_bf16_micro_kernel(a);
}

MicroKernel internal::widened_bf16_micro_kernel(Operand a) {
  return HWY_DYNAMIC_DISPATCH(widened_bf16_micro_kernel)(a);
}

}  // namespace charm::kernels
#endif
