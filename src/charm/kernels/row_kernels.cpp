#include "charm/kernels/row_kernels.h"

#include <bit>
#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "charm/kernels/row_kernels.cpp"
#include <hwy/foreach_target.h>  // compiles this file once per instruction set
#include <hwy/highway.h>
#include <hwy/contrib/math/math-inl.h>

#include "charm/kernels/vectors_inl.h"

HWY_BEFORE_NAMESPACE();
namespace charm::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
using F32 = hn::ScalableTag<float>;
using Vec = hn::Vec<F32>;

// Columns beyond the last whole vector take the scalar branch. Which columns those are depends on
// the width alone, so every row of a tensor takes the same path.

inline float load1(const float* p) { return *p; }
inline float load1(const std::uint16_t* p) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(*p) << 16);
}
inline void store1(float v, float* p) { *p = v; }
inline void store1(float v, std::uint16_t* p) {
  const auto bits = std::bit_cast<std::uint32_t>(v);
  *p = static_cast<std::uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

template <typename E>
void rms_norm_row(const E* x, const E* w, float offset, float eps, E* out, std::int64_t width) {
  const F32 d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  Vec sum0 = hn::Zero(d);
  Vec sum1 = hn::Zero(d);
  std::int64_t i = 0;
  for (; i + 2 * lanes <= width; i += 2 * lanes) {
    const Vec a = load(d, x + i);
    const Vec b = load(d, x + i + lanes);
    sum0 = hn::MulAdd(a, a, sum0);
    sum1 = hn::MulAdd(b, b, sum1);
  }
  float total = hn::GetLane(hn::SumOfLanes(d, hn::Add(sum0, sum1)));
  for (; i < width; ++i) total += load1(x + i) * load1(x + i);
  const float scale = 1.0f / std::sqrt(total / static_cast<float>(width) + eps);
  const Vec scale_v = hn::Set(d, scale);
  const Vec offset_v = hn::Set(d, offset);
  for (i = 0; i + lanes <= width; i += lanes) {
    store(d, hn::Mul(hn::Add(load(d, w + i), offset_v), hn::Mul(load(d, x + i), scale_v)), out + i);
  }
  for (; i < width; ++i) store1((load1(w + i) + offset) * (load1(x + i) * scale), out + i);
}

template <typename E>
void rope_row(const E* x, const float* cos, const float* sin, E* out, std::int64_t half) {
  const F32 d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = 0;
  for (; i + lanes <= half; i += lanes) {
    const Vec low = load(d, x + i);
    const Vec high = load(d, x + half + i);
    const Vec c = hn::LoadU(d, cos + i);
    const Vec s = hn::LoadU(d, sin + i);
    store(d, hn::NegMulAdd(high, s, hn::Mul(low, c)), out + i);
    store(d, hn::MulAdd(low, s, hn::Mul(high, c)), out + half + i);
  }
  for (; i < half; ++i) {
    const float low = load1(x + i);
    const float high = load1(x + half + i);
    store1(low * cos[i] - high * sin[i], out + i);
    store1(high * cos[i] + low * sin[i], out + half + i);
  }
}

template <typename E>
void silu_mul_row(E* gate, const E* up, std::int64_t width) {
  const F32 d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = 0;
  for (; i + lanes <= width; i += lanes) {
    const Vec g = load(d, gate + i);
    store(d, hn::Mul(silu(d, g), load(d, up + i)), gate + i);
  }
  for (; i < width; ++i) {
    const float g = load1(gate + i);
    store1(g / (1.0f + std::exp(std::fmin(-g, kLargestExponent))) * load1(up + i), gate + i);
  }
}

template <typename E>
void gelu_mul_row(E* gate, const E* up, std::int64_t width) {
  const F32 d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = 0;
  for (; i + lanes <= width; i += lanes) {
    const Vec g = load(d, gate + i);
    store(d, hn::Mul(gelu(d, g), load(d, up + i)), gate + i);
  }
  for (; i < width; ++i) {
    const float g = load1(gate + i);
    store1(0.5f * g * (1.0f + std::erf(g * 0.70710678118654752f)) * load1(up + i), gate + i);
  }
}

template <typename E>
void gelu_tanh_mul_row(E* gate, const E* up, std::int64_t width) {
  const F32 d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = 0;
  for (; i + lanes <= width; i += lanes) {
    const Vec g = load(d, gate + i);
    store(d, hn::Mul(gelu_tanh(d, g), load(d, up + i)), gate + i);
  }
  for (; i < width; ++i) {
    const float g = load1(gate + i);
    const float exponent = std::fmin(kGeluScale * (g + kGeluCubic * g * g * g), kLargestExponent);
    store1(g / (1.0f + std::exp(exponent)) * load1(up + i), gate + i);
  }
}

RowKernels make_row_kernels() {
  return {rms_norm_row<float>,
          rms_norm_row<std::uint16_t>,
          rope_row<float>,
          rope_row<std::uint16_t>,
          silu_mul_row<float>,
          silu_mul_row<std::uint16_t>,
          gelu_mul_row<float>,
          gelu_mul_row<std::uint16_t>,
          gelu_tanh_mul_row<float>,
          gelu_tanh_mul_row<std::uint16_t>,
          hwy::TargetName(HWY_TARGET)};
}

}  // namespace HWY_NAMESPACE
}  // namespace charm::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace charm::kernels {

HWY_EXPORT(make_row_kernels);

RowKernels row_kernels() { return HWY_DYNAMIC_DISPATCH(make_row_kernels)(); }

}  // namespace charm::kernels
#endif
