// Loads and stores of float32 vectors for both element types, and the activations of gated MLPs.
// Included once per instruction set, after Highway and its math-inl.h: the guard below toggles, as
// in Highway's own *-inl.h files.
#if defined(CHARM_KERNELS_VECTORS_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef CHARM_KERNELS_VECTORS_INL_H
#undef CHARM_KERNELS_VECTORS_INL_H
#else
#define CHARM_KERNELS_VECTORS_INL_H
#endif

#include <cstdint>

#include "charm/kernels/kernels.h"

HWY_BEFORE_NAMESPACE();
namespace charm::kernels {
namespace HWY_NAMESPACE {

template <class D>
HWY_INLINE hwy::HWY_NAMESPACE::Vec<D> load(D d, const float* p) {
  return hwy::HWY_NAMESPACE::LoadU(d, p);
}

template <class D>
HWY_INLINE hwy::HWY_NAMESPACE::Vec<D> load(D d, const BFloat16* p) {
  namespace hn = hwy::HWY_NAMESPACE;
  const hn::RebindToUnsigned<D> u32;
  const hn::Rebind<std::uint16_t, D> u16;
  const auto bits = hn::LoadU(u16, reinterpret_cast<const std::uint16_t*>(p));
  return hn::BitCast(d, hn::ShiftLeft<16>(hn::PromoteTo(u32, bits)));
}

template <class D>
HWY_INLINE void store(D d, hwy::HWY_NAMESPACE::Vec<D> v, float* p) {
  hwy::HWY_NAMESPACE::StoreU(v, d, p);
}

/// Rounds to nearest even: adds 0x7fff plus the lowest kept bit, then drops 16 bits.
template <class D>
HWY_INLINE void store(D, hwy::HWY_NAMESPACE::Vec<D> v, BFloat16* p) {
  namespace hn = hwy::HWY_NAMESPACE;
  const hn::RebindToUnsigned<D> u32;
  const hn::RebindToSigned<D> i32;
  const hn::Rebind<std::uint16_t, D> u16;
  const auto bits = hn::BitCast(u32, v);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(u32, 1));
  const auto rounded = hn::ShiftRight<16>(hn::Add(bits, hn::Add(odd, hn::Set(u32, 0x7fff))));
  hn::StoreU(hn::DemoteTo(u16, hn::BitCast(i32, rounded)), u16,
             reinterpret_cast<std::uint16_t*>(p));
}

/// body(d, i) for whole vectors of `begin` .. `end` - 1, then for single elements.
template <class D, typename Body>
HWY_INLINE void for_vectors(D d, std::int64_t begin, std::int64_t end, const Body& body) {
  const auto lanes = static_cast<std::int64_t>(hwy::HWY_NAMESPACE::Lanes(d));
  std::int64_t i = begin;
  for (; i + lanes <= end; i += lanes) body(d, i);
  for (; i < end; ++i) body(hwy::HWY_NAMESPACE::CappedTag<float, 1>(), i);
}

constexpr float kLog2E = 1.4426950408889634f;
constexpr float kLeastExponent = -125.0f;  ///< of exp2; 2^-125 is negligible beside 1

/// 2^x for kLeastExponent <= x < 127, with a relative error below 2e-7; unspecified for other x.
/// Range reduction to an integer and f in [-0.5, 0.5]; 2^f is the minimax polynomial of degree 5
/// (relative error 7.5e-8, Remez exchange).
template <class D, class V>
HWY_INLINE V exp2(D d, V x) {
  namespace hn = hwy::HWY_NAMESPACE;
  const hn::RebindToSigned<D> i32;
  const V whole = hn::Round(x);
  const V f = hn::Sub(x, whole);
  V p = hn::MulAdd(f, hn::Set(d, 0.00132764721678f), hn::Set(d, 0.00967554133102f));
  p = hn::MulAdd(f, p, hn::Set(d, 0.0555071327288f));
  p = hn::MulAdd(f, p, hn::Set(d, 0.24022119724f));
  p = hn::MulAdd(f, p, hn::Set(d, 0.693146967065f));
  p = hn::MulAdd(f, p, hn::Set(d, 1.00000007165f));
  return hn::BitCast(d, hn::Add(hn::BitCast(i32, p), hn::ShiftLeft<23>(hn::ConvertTo(i32, whole))));
}

/// exp2, and 0 for x <= kLeastExponent, minus infinity included.
template <class D, class V>
HWY_INLINE V exp2_or_zero(D d, V x) {
  namespace hn = hwy::HWY_NAMESPACE;
  return hn::IfThenElseZero(hn::Gt(x, hn::Set(d, kLeastExponent)), exp2(d, x));
}

// exp(86) fits float32, and z / exp(86) is negligible.
constexpr float kLargestExponent = 86.0f;
constexpr float kGeluScale = -2.0f * 0.7978845608028654f;  // -2 sqrt(2 / pi)
constexpr float kGeluCubic = 0.044715f;
constexpr float kQuickGeluScale = 1.702f;

/// z / (1 + exp(-z)).
template <class D, class V>
HWY_INLINE V silu(D d, V z) {
  namespace hn = hwy::HWY_NAMESPACE;
  const V exponent = hn::Mul(hn::Min(hn::Neg(z), hn::Set(d, kLargestExponent)), hn::Set(d, kLog2E));
  return hn::Div(z, hn::Add(hn::Set(d, 1.0f), exp2_or_zero(d, exponent)));
}

/// z / (1 + exp(-1.702 z)).
template <class D, class V>
HWY_INLINE V quick_gelu(D d, V z) {
  namespace hn = hwy::HWY_NAMESPACE;
  const V scaled = hn::Min(hn::Mul(z, hn::Set(d, -kQuickGeluScale)), hn::Set(d, kLargestExponent));
  const V exponential = exp2_or_zero(d, hn::Mul(scaled, hn::Set(d, kLog2E)));
  return hn::Div(z, hn::Add(hn::Set(d, 1.0f), exponential));
}

// erf(x) = 1 - (a1 t + ... + a5 t^5) exp(-x^2) with t = 1 / (1 + p x), for x >= 0 to 1.5e-7:
// Abramowitz and Stegun 7.1.26.
constexpr float kErfP = 0.3275911f;
constexpr float kErfA[] = {0.254829592f, -0.284496736f, 1.421413741f, -1.453152027f, 1.061405429f};

/// z / 2 * (1 + erf(z / sqrt(2))).
template <class D, class V>
HWY_INLINE V gelu(D d, V z) {
  namespace hn = hwy::HWY_NAMESPACE;
  const V one = hn::Set(d, 1.0f);
  const V x = hn::Mul(hn::Abs(z), hn::Set(d, 0.70710678118654752f));
  const V t = hn::Div(one, hn::MulAdd(hn::Set(d, kErfP), x, one));
  V sum = hn::Set(d, kErfA[4]);
  for (int i = 3; i >= 0; --i) sum = hn::MulAdd(sum, t, hn::Set(d, kErfA[i]));
  const V exponent = hn::Mul(hn::Mul(x, x), hn::Set(d, -kLog2E));
  const V half_tail = hn::Mul(
      hn::Mul(sum, t), hn::Mul(exp2_or_zero(d, exponent), hn::Set(d, 0.5f)));  // (1 - erf(x)) / 2
  return hn::Mul(z, hn::IfThenElse(hn::Lt(z, hn::Zero(d)), half_tail, hn::Sub(one, half_tail)));
}

/// z / (1 + exp(-2 sqrt(2 / pi) (z + 0.044715 z^3))).
template <class D, class V>
HWY_INLINE V gelu_tanh(D d, V z) {
  namespace hn = hwy::HWY_NAMESPACE;
  const V inner = hn::MulAdd(hn::Mul(hn::Set(d, kGeluCubic), hn::Mul(z, z)), z, z);
  const V exponent = hn::Min(hn::Mul(hn::Set(d, kGeluScale), inner), hn::Set(d, kLargestExponent));
  return hn::Div(z,
                 hn::Add(hn::Set(d, 1.0f), exp2_or_zero(d, hn::Mul(exponent, hn::Set(d, kLog2E)))));
}

}  // namespace HWY_NAMESPACE
}  // namespace charm::kernels
HWY_AFTER_NAMESPACE();

#endif
