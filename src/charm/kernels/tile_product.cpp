#include "charm/kernels/tile_product.h"

#include <algorithm>
#include <array>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "charm/kernels/tile_product.cpp"
#include <hwy/foreach_target.h>  // compiles this file once per instruction set
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace charm::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
using F32 = hn::CappedTag<float, 16>;
using U32 = hn::RebindToUnsigned<F32>;
using Vec = hn::Vec<F32>;

/// A step as float32: the step itself, or one half of a pair.
enum class Part { kWhole, kLow, kHigh };

template <Part kPart>
HWY_INLINE Vec part_of(hn::Vec<U32> step) {
  if constexpr (kPart == Part::kLow) return hn::BitCast(F32(), hn::ShiftLeft<16>(step));
  if constexpr (kPart == Part::kHigh)
    return hn::BitCast(F32(), hn::And(step, hn::Set(U32(), 0xffff0000u)));
  return hn::BitCast(F32(), step);
}

template <Part kPart, int kRows, int kVectors>
HWY_INLINE void add_step(const std::uint32_t* a, std::int64_t a_stride, const std::uint32_t* b,
                         Vec (&sum)[kRows][kVectors]) {
  const U32 u32;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(u32));
  Vec columns[kVectors];
#pragma GCC unroll 8
  for (int i = 0; i < kVectors; ++i) columns[i] = part_of<kPart>(hn::LoadU(u32, b + i * lanes));
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
    const Vec x = part_of<kPart>(hn::Set(u32, a[r * a_stride]));
#pragma GCC unroll 8
    for (int i = 0; i < kVectors; ++i) sum[r][i] = hn::MulAdd(x, columns[i], sum[r][i]);
  }
}

/// kRows rows times `kVectors` vectors of columns, held in registers over all steps.
template <bool kPairs, int kVectors, int kRows>
void product_strip(const std::uint32_t* a, std::int64_t a_stride, const std::uint32_t* b,
                   std::int64_t b_stride, std::int64_t steps, float* c, std::int64_t c_stride,
                   const float* keep) {
  const F32 d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  Vec sum[kRows][kVectors];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int i = 0; i < kVectors; ++i) {
      sum[r][i] = keep == nullptr
                      ? hn::Zero(d)
                      : hn::Mul(hn::LoadU(d, c + r * c_stride + i * lanes), hn::Set(d, keep[r]));
    }
  }
  for (std::int64_t k = 0; k < steps; ++k) {
    if constexpr (kPairs) {
      add_step<Part::kLow, kRows, kVectors>(a + k, a_stride, b + k * b_stride, sum);
      add_step<Part::kHigh, kRows, kVectors>(a + k, a_stride, b + k * b_stride, sum);
    } else {
      add_step<Part::kWhole, kRows, kVectors>(a + k, a_stride, b + k * b_stride, sum);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int i = 0; i < kVectors; ++i) hn::StoreU(sum[r][i], d, c + r * c_stride + i * lanes);
  }
}

using Strip = void (*)(const std::uint32_t*, std::int64_t, const std::uint32_t*, std::int64_t,
                       std::int64_t, float*, std::int64_t, const float*);

/// By the number of rows less one.
template <bool kPairs, int kVectors>
constexpr std::array<Strip, kProductRows> strips() {
  return {product_strip<kPairs, kVectors, 1>, product_strip<kPairs, kVectors, 2>,
          product_strip<kPairs, kVectors, 3>, product_strip<kPairs, kVectors, 4>,
          product_strip<kPairs, kVectors, 5>, product_strip<kPairs, kVectors, 6>};
}

template <bool kPairs>
void product(const std::uint32_t* a, std::int64_t a_stride, const std::uint32_t* b,
             std::int64_t b_stride, std::int64_t steps, float* c, std::int64_t c_stride,
             std::int64_t rows, std::int64_t columns, const float* keep) {
  // 6 x 4 vectors need 29 registers, 6 x 2 need 15.
  constexpr int kVectors = HWY_TARGET <= HWY_AVX3 ? 4 : 2;
  const std::int64_t width = kVectors * static_cast<std::int64_t>(hn::Lanes(F32()));
  constexpr auto kStrips = strips<kPairs, kVectors>();
  for (std::int64_t n = 0; n < columns; n += width) {
    for (std::int64_t r = 0; r < rows; r += kProductRows) {
      kStrips[std::min(rows - r, kProductRows) - 1](a + r * a_stride, a_stride, b + n, b_stride,
                                                    steps, c + r * c_stride + n, c_stride,
                                                    keep == nullptr ? nullptr : keep + r);
    }
  }
}

TileProduct float32_product() { return product<false>; }
TileProduct widened_bfloat16_product() { return product<true>; }

}  // namespace HWY_NAMESPACE
}  // namespace charm::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace charm::kernels {

HWY_EXPORT(float32_product);
HWY_EXPORT(widened_bfloat16_product);

TileProduct product_of_float32() { return HWY_DYNAMIC_DISPATCH(float32_product)(); }

TileProduct product_of_bfloat16() {
  const TileProduct native = internal::native_bfloat16_product();
  return native != nullptr ? native : internal::widened_bfloat16_product();
}

TileProduct internal::widened_bfloat16_product() {
  return HWY_DYNAMIC_DISPATCH(widened_bfloat16_product)();
}

}  // namespace charm::kernels
#endif
