#include "charm/kernels/gradient_rows.h"

#include <algorithm>
#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "charm/kernels/gradient_rows.cpp"
#include <hwy/foreach_target.h>  // compiles this file once per instruction set
#include <hwy/highway.h>
#include <hwy/contrib/math/math-inl.h>

#include "charm/kernels/vectors_inl.h"

HWY_BEFORE_NAMESPACE();
namespace charm::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
using F32 = hn::CappedTag<float, 16>;
using One = hn::CappedTag<float, 1>;  ///< columns beyond the last whole vector
using Vec = hn::Vec<F32>;

/// body(d, i) for whole vectors of 0 .. count - 1 from `begin` on, then for single elements.
template <typename Body>
HWY_INLINE void for_vectors(std::int64_t begin, std::int64_t count, const Body& body) {
  const F32 d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = begin;
  for (; i + lanes <= count; i += lanes) body(d, i);
  for (; i < count; ++i) body(One(), i);
}

/// Sum over a row in one order: a vector of partial sums, then the single elements.
template <typename Term>
HWY_INLINE float row_sum(std::int64_t count, const Term& term) {
  const F32 d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  Vec sum0 = hn::Zero(d), sum1 = hn::Zero(d);
  std::int64_t i = 0;
  for (; i + 2 * lanes <= count; i += 2 * lanes) {
    sum0 = hn::Add(sum0, term(d, i));
    sum1 = hn::Add(sum1, term(d, i + lanes));
  }
  float total = hn::GetLane(hn::SumOfLanes(d, hn::Add(sum0, sum1)));
  for (; i < count; ++i) total += hn::GetLane(term(One(), i));
  return total;
}

template <typename Element>
float inverse_rms(const Element* x, float eps, std::int64_t width) {
  const float squares = row_sum(width, [&](auto d, std::int64_t i) HWY_ATTR {
    const auto v = load(d, x + i);
    return hn::Mul(v, v);
  });
  return 1.0f / std::sqrt(squares / static_cast<float>(width) + eps);
}

template <typename Element>
void norm_row(const Element* x, const float* w, float offset, float eps, Element* out,
              std::int64_t width) {
  const float r = inverse_rms(x, eps, width);
  for_vectors(0, width, [&](auto d, std::int64_t i) HWY_ATTR {
    const auto factor = hn::Add(hn::LoadU(d, w + i), hn::Set(d, offset));
    store(d, hn::Mul(factor, hn::Mul(load(d, x + i), hn::Set(d, r))), out + i);
  });
}

template <typename Element>
void norm_backward_row(const Element* x, const Element* dy, const float* w, float offset, float eps,
                       Element* dx, std::int64_t width, bool add) {
  const float r = inverse_rms(x, eps, width);
  const auto g = [&](auto d, std::int64_t i) HWY_ATTR {
    return hn::Mul(load(d, dy + i), hn::Add(hn::LoadU(d, w + i), hn::Set(d, offset)));
  };
  const float dot = row_sum(
      width, [&](auto d, std::int64_t i) HWY_ATTR { return hn::Mul(g(d, i), load(d, x + i)); });
  const float along_x = dot / static_cast<float>(width) * r * r * r;
  for_vectors(0, width, [&](auto d, std::int64_t i) HWY_ATTR {
    auto value =
        hn::NegMulAdd(load(d, x + i), hn::Set(d, along_x), hn::Mul(g(d, i), hn::Set(d, r)));
    if (add) value = hn::Add(load(d, dx + i), value);
    store(d, value, dx + i);
  });
}

/// Columns `begin` .. `end` of sum += dy x r over one row. MulAdd, not Add(Mul): the compiler fuses
/// the latter in the vector loop alone, and where that ends depends on the number of threads.
template <typename Element>
void norm_weight_row(const Element* x, const Element* dy, float r, std::int64_t begin,
                     std::int64_t end, float* sum) {
  for_vectors(begin, end, [&](auto d, std::int64_t i) HWY_ATTR {
    const auto scaled = hn::Mul(load(d, x + i), hn::Set(d, r));
    hn::StoreU(hn::MulAdd(load(d, dy + i), scaled, hn::LoadU(d, sum + i)), d, sum + i);
  });
}

/// Columns `begin` .. `end` of sum += scale * row.
template <typename Element>
void add_row(const Element* row, float scale, std::int64_t begin, std::int64_t end, float* sum) {
  for_vectors(begin, end, [&](auto d, std::int64_t i) HWY_ATTR {
    hn::StoreU(hn::MulAdd(load(d, row + i), hn::Set(d, scale), hn::LoadU(d, sum + i)), d, sum + i);
  });
}

template <typename Element>
void rope_head(Element* x, const float* cos, const float* sin, std::int64_t half, float sign) {
  for_vectors(0, half, [&](auto d, std::int64_t i) HWY_ATTR {
    const auto low = load(d, x + i);
    const auto high = load(d, x + half + i);
    const auto c = hn::LoadU(d, cos + i);
    const auto s = hn::Mul(hn::LoadU(d, sin + i), hn::Set(d, sign));
    store(d, hn::NegMulAdd(high, s, hn::Mul(low, c)), x + i);
    store(d, hn::MulAdd(low, s, hn::Mul(high, c)), x + half + i);
  });
}

/// f(z) and f'(z) of a gate.
template <class V>
struct Gate {
  V value, slope;
};

/// f = z s, f' = s + z s (1 - s) inner', for the logistic function s of `inner`(z).
template <class D, class V>
HWY_INLINE Gate<V> logistic_gate(D d, V z, V inner, V inner_slope) {
  const V one = hn::Set(d, 1.0f);
  const V exponent =
      hn::Mul(hn::Min(hn::Neg(inner), hn::Set(d, kLargestExponent)), hn::Set(d, kLog2E));
  const V s = hn::Div(one, hn::Add(one, exp2_or_zero(d, exponent)));
  const V tail = hn::Mul(hn::Mul(z, s), hn::Mul(hn::Sub(one, s), inner_slope));
  return {hn::Mul(z, s), hn::Add(s, tail)};
}

template <class D, class V>
HWY_INLINE Gate<V> gate_of(D d, V z, GateFunction function) {
  const V one = hn::Set(d, 1.0f);
  if (function == GateFunction::kSilu) return logistic_gate(d, z, z, one);
  if (function == GateFunction::kGeluTanh) {
    const V twice = hn::Set(d, -kGeluScale);  // 2 sqrt(2 / pi)
    const V cubic = hn::Mul(hn::Set(d, kGeluCubic), hn::Mul(z, z));
    const V inner = hn::Mul(twice, hn::MulAdd(cubic, z, z));
    const V slope = hn::Mul(twice, hn::MulAdd(hn::Set(d, 3.0f), cubic, one));
    return logistic_gate(d, z, inner, slope);
  }
  if (function == GateFunction::kQuickGelu) {
    const V scale = hn::Set(d, kQuickGeluScale);
    return logistic_gate(d, z, hn::Mul(scale, z), scale);
  }
  const V positive = hn::Max(z, hn::Zero(d));
  if (function == GateFunction::kRelu)
    return {positive, hn::IfThenElseZero(hn::Gt(z, hn::Zero(d)), one)};
  if (function == GateFunction::kReluSquared)
    return {hn::Mul(positive, positive), hn::Add(positive, positive)};
  // Phi(z) = gelu(z) / z, and phi(z), its derivative.
  const V value = gelu(d, z);
  const V density = hn::Mul(hn::Set(d, 0.3989422804014327f),
                            exp2_or_zero(d, hn::Mul(hn::Mul(z, z), hn::Set(d, -0.5f * kLog2E))));
  const V cumulative = hn::IfThenElse(hn::Eq(z, hn::Zero(d)), hn::Set(d, 0.5f), hn::Div(value, z));
  return {value, hn::MulAdd(z, density, cumulative)};
}

template <typename Element>
void gate_row(const Element* gate, const Element* up, GateFunction function, Element* hidden,
              std::int64_t width) {
  for_vectors(0, width, [&](auto d, std::int64_t i) HWY_ATTR {
    store(d, hn::Mul(gate_of(d, load(d, gate + i), function).value, load(d, up + i)), hidden + i);
  });
}

template <typename Element>
void gate_backward_row(const Element* gate, const Element* up, const Element* dh,
                       GateFunction function, Element* d_gate, Element* d_up, std::int64_t width) {
  for_vectors(0, width, [&](auto d, std::int64_t i) HWY_ATTR {
    const auto f = gate_of(d, load(d, gate + i), function);
    const auto gradient = load(d, dh + i);
    store(d, hn::Mul(hn::Mul(gradient, load(d, up + i)), f.slope), d_gate + i);
    store(d, hn::Mul(gradient, f.value), d_up + i);
  });
}

void round_range(const float* from, BFloat16* to, std::int64_t count) {
  for_vectors(0, count,
              [&](auto d, std::int64_t i) HWY_ATTR { store(d, hn::LoadU(d, from + i), to + i); });
}

void adamw_range(float* p, const float* g, float* m, float* v, const AdamWFactors& f,
                 std::int64_t count) {
  for_vectors(0, count, [&](auto d, std::int64_t i) HWY_ATTR {
    const auto set = [&](float value) HWY_ATTR { return hn::Set(d, value); };
    const auto gradient = hn::LoadU(d, g + i);
    const auto first =
        hn::MulAdd(set(f.beta1), hn::LoadU(d, m + i), hn::Mul(set(f.rest1), gradient));
    const auto second = hn::MulAdd(set(f.beta2), hn::LoadU(d, v + i),
                                   hn::Mul(set(f.rest2), hn::Mul(gradient, gradient)));
    hn::StoreU(first, d, m + i);
    hn::StoreU(second, d, v + i);
    const auto denominator = hn::MulAdd(hn::Sqrt(second), set(f.root_scale), set(f.eps));
    const auto change = hn::Div(hn::Mul(set(f.step_size), first), denominator);
    hn::StoreU(hn::Sub(hn::Mul(hn::LoadU(d, p + i), set(f.kept)), change), d, p + i);
  });
}

template <typename Element>
GradientRowKernels<Element> make_gradient_rows() {
  return {inverse_rms<Element>,     norm_row<Element>,         norm_backward_row<Element>,
          norm_weight_row<Element>, add_row<Element>,          rope_head<Element>,
          gate_row<Element>,        gate_backward_row<Element>};
}

GradientRowKernels<float> gradient_rows_f32() { return make_gradient_rows<float>(); }
GradientRowKernels<BFloat16> gradient_rows_bf16() { return make_gradient_rows<BFloat16>(); }
UpdateKernels make_update_kernels() { return {round_range, adamw_range}; }

}  // namespace HWY_NAMESPACE
}  // namespace charm::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace charm::kernels {

HWY_EXPORT(gradient_rows_f32);
HWY_EXPORT(gradient_rows_bf16);
HWY_EXPORT(make_update_kernels);

template <>
const GradientRowKernels<float>& gradient_row_kernels<float>() {
  static const GradientRowKernels<float> kKernels = HWY_DYNAMIC_DISPATCH(gradient_rows_f32)();
  return kKernels;
}
template <>
const GradientRowKernels<BFloat16>& gradient_row_kernels<BFloat16>() {
  static const GradientRowKernels<BFloat16> kKernels = HWY_DYNAMIC_DISPATCH(gradient_rows_bf16)();
  return kKernels;
}
const UpdateKernels& update_kernels() {
  static const UpdateKernels kKernels = HWY_DYNAMIC_DISPATCH(make_update_kernels)();
  return kKernels;
}

}  // namespace charm::kernels
#endif
