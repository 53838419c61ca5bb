#include "charm/kernels/attention_tile.h"

#include <algorithm>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "charm/kernels/attention_tile.cpp"
#include <hwy/foreach_target.h>  // compiles this file once per instruction set
#include <hwy/highway.h>
#include <hwy/contrib/math/math-inl.h>

HWY_BEFORE_NAMESPACE();
namespace charm::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
using F32 = hn::CappedTag<float, 16>;
using Vec = hn::Vec<F32>;

/// Six rows times `kVectors` vectors of columns, held in registers over all steps.
template <int kVectors>
HWY_INLINE void product_strip(const float* a, std::int64_t a_stride, const float* b, std::int64_t b_stride, std::int64_t steps,
                              float* c, std::int64_t c_stride, const float* keep) {
  static_assert(kGemmRowStep == 6);
  const F32 d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  Vec sum[6][kVectors];
#pragma GCC unroll 8
  for (int r = 0; r < 6; ++r) {
#pragma GCC unroll 8
    for (int i = 0; i < kVectors; ++i) {
      sum[r][i] = keep == nullptr ? hn::Zero(d)
                                  : hn::Mul(hn::LoadU(d, c + r * c_stride + i * lanes), hn::Set(d, keep[r]));
    }
  }
  for (std::int64_t k = 0; k < steps; ++k) {
    Vec columns[kVectors];
#pragma GCC unroll 8
    for (int i = 0; i < kVectors; ++i) columns[i] = hn::LoadU(d, b + k * b_stride + i * lanes);
#pragma GCC unroll 8
    for (int r = 0; r < 6; ++r) {
      const Vec x = hn::Set(d, a[r * a_stride + k]);
#pragma GCC unroll 8
      for (int i = 0; i < kVectors; ++i) sum[r][i] = hn::MulAdd(x, columns[i], sum[r][i]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < 6; ++r) {
#pragma GCC unroll 8
    for (int i = 0; i < kVectors; ++i) hn::StoreU(sum[r][i], d, c + r * c_stride + i * lanes);
  }
}

void product_f32(const std::uint32_t* a_bits, std::int64_t a_stride, const std::uint32_t* b_bits, std::int64_t b_stride,
                 std::int64_t steps, float* c, std::int64_t c_stride, std::int64_t rows, std::int64_t columns,
                 const float* keep) {
  // 6 x 4 vectors need 29 registers, 6 x 2 need 15.
  constexpr int kVectors = HWY_TARGET <= HWY_AVX3 ? 4 : 2;
  const auto* a = reinterpret_cast<const float*>(a_bits);
  const auto* b = reinterpret_cast<const float*>(b_bits);
  const std::int64_t width = kVectors * static_cast<std::int64_t>(hn::Lanes(F32()));
  for (std::int64_t n = 0; n < columns; n += width) {
    for (std::int64_t r = 0; r < rows; r += kGemmRowStep) {
      product_strip<kVectors>(a + r * a_stride, a_stride, b + n, b_stride, steps, c + r * c_stride + n, c_stride,
                              keep == nullptr ? nullptr : keep + r);
    }
  }
}

/// One vector as bfloat16, rounded to nearest even; the same as `store` in row_kernels.cpp.
HWY_INLINE void store_bf16(F32 d, Vec v, std::uint16_t* to) {
  const hn::RebindToUnsigned<F32> u32;
  const hn::RebindToSigned<F32> i32;
  const hn::Rebind<std::uint16_t, F32> u16;
  const auto bits = hn::BitCast(u32, v);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(u32, 1));
  const auto rounded = hn::ShiftRight<16>(hn::Add(bits, hn::Add(odd, hn::Set(u32, 0x7fff))));
  hn::StoreU(hn::DemoteTo(u16, hn::BitCast(i32, rounded)), u16, to);
  (void)d;
}

template <bool kBfloat16>
void softmax(const TileState& state, const PackedBlock& block, const SoftmaxRule& rule) {
  const F32 d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const Vec scale = hn::Set(d, rule.scale);
  const Vec cap = hn::Set(d, rule.softcap);
  const Vec inverse_cap = hn::Set(d, rule.softcap == 0.0f ? 0.0f : 1.0f / rule.softcap);
  const Vec hidden = hn::Set(d, -std::numeric_limits<float>::infinity());
  for (std::int64_t r = 0; r < rule.rows; ++r) {
    float* logits = state.logits + r * kBlockKeys;
    const std::int64_t position = rule.first_position + r * rule.position_step;
    // Keys first_key <= n < end_key of the block are seen.
    const std::int64_t end_key = std::clamp<std::int64_t>(position + 1 - block.first, 0, block.length);
    const std::int64_t first_key =
        rule.window == 0 ? 0 : std::clamp<std::int64_t>(position + 1 - rule.window - block.first, 0, kBlockKeys);
    const Vec first_v = hn::Set(d, static_cast<float>(first_key));
    const Vec end_v = hn::Set(d, static_cast<float>(end_key));
    const bool whole = first_key == 0 && end_key == kBlockKeys;
    Vec largest = hn::Set(d, state.largest[r]);
    for (std::int64_t n = 0; n < kBlockKeys; n += lanes) {
      Vec x = hn::Mul(hn::LoadU(d, logits + n), scale);
      if (rule.softcap != 0.0f) x = hn::Mul(cap, hn::Tanh(d, hn::Mul(x, inverse_cap)));
      if (!whole) {
        const Vec index = hn::Iota(d, static_cast<float>(n));
        x = hn::IfThenElse(hn::And(hn::Ge(index, first_v), hn::Lt(index, end_v)), x, hidden);
      }
      hn::StoreU(x, d, logits + n);
      largest = hn::Max(largest, x);
    }
    const float new_largest = hn::GetLane(hn::MaxOfLanes(d, largest));
    const Vec shift = hn::Set(d, new_largest);
    const float keep = hn::GetLane(hn::Exp(d, hn::Sub(hn::Set(d, state.largest[r]), shift)));
    Vec sum = hn::Zero(d);
    for (std::int64_t n = 0; n < kBlockKeys; n += lanes) {
      const Vec p = hn::Exp(d, hn::Sub(hn::LoadU(d, logits + n), shift));  // 0 for hidden keys
      sum = hn::Add(sum, p);
      if constexpr (kBfloat16) {
        store_bf16(d, p, reinterpret_cast<std::uint16_t*>(state.weights) + r * kBlockKeys + n);
      } else {
        hn::StoreU(p, d, reinterpret_cast<float*>(state.weights) + r * kBlockKeys + n);
      }
    }
    state.largest[r] = new_largest;
    state.keep[r] = keep;
    state.sum[r] = state.sum[r] * keep + hn::GetLane(hn::SumOfLanes(d, sum));
  }
}

TileKernels make_tile_kernels() { return {product_f32, softmax<false>, softmax<true>}; }

}  // namespace HWY_NAMESPACE
}  // namespace charm::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace charm::kernels {

HWY_EXPORT(make_tile_kernels);

TileKernels tile_kernels() { return HWY_DYNAMIC_DISPATCH(make_tile_kernels)(); }

}  // namespace charm::kernels
#endif
