#include <algorithm>
#include <cmath>
#include <tuple>

#include "charm/kernels/row_gradients.h"
#include "charm/kernels/thread_pool.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "charm/kernels/elementwise.cpp"
#include <hwy/foreach_target.h>  // compiles this file once per instruction set
#include <hwy/highway.h>
#include <hwy/contrib/math/math-inl.h>

#include "charm/kernels/vectors_inl.h"

#ifndef CHARM_KERNELS_ELEMENTWISE_ONCE
#define CHARM_KERNELS_ELEMENTWISE_ONCE
namespace charm::kernels {

/// A range of elements, or one row, of each kernel.
template <typename Element>
struct ElementKernels {
  void (*add)(Element* to, const Element* x, std::int64_t count);
  void (*scale)(Element* x, float factor, std::int64_t count);
  void (*sigmoid_mul)(Element* x, const Element* gate, std::int64_t count);
  void (*gelu_tanh_mul)(Element* gate, const Element* x, std::int64_t count);
  void (*gelu)(Element* x, std::int64_t count);
  void (*gate)(const Element* gate, const Element* up, GateFunction function, Element* hidden,
               std::int64_t width);
  void (*gate_backward)(const Element* gate, const Element* up, const Element* d_hidden,
                        GateFunction function, Element* d_gate, Element* d_up, std::int64_t width);
};
using ElementKernelsOfTypes = std::tuple<ElementKernels<float>, ElementKernels<BFloat16>>;

}  // namespace charm::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace charm::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
using F32 = hn::ScalableTag<float>;

template <typename Element>
void add_range(Element* to, const Element* x, std::int64_t count) {
  for_vectors(F32(), 0, count, [&](auto d, std::int64_t i) HWY_ATTR {
    store(d, hn::Add(load(d, to + i), load(d, x + i)), to + i);
  });
}

template <typename Element>
void scale_range(Element* x, float factor, std::int64_t count) {
  for_vectors(F32(), 0, count, [&](auto d, std::int64_t i) HWY_ATTR {
    store(d, hn::Mul(load(d, x + i), hn::Set(d, factor)), x + i);
  });
}

template <typename Element>
void sigmoid_mul_range(Element* x, const Element* gate, std::int64_t count) {
  for_vectors(F32(), 0, count, [&](auto d, std::int64_t i) HWY_ATTR {
    const auto exponent = hn::Min(hn::Neg(load(d, gate + i)), hn::Set(d, kLargestExponent));
    const auto power = exp2_or_zero(d, hn::Mul(exponent, hn::Set(d, kLog2E)));
    store(d, hn::Div(load(d, x + i), hn::Add(hn::Set(d, 1.0f), power)), x + i);
  });
}

template <typename Element>
void gelu_tanh_mul_range(Element* gate, const Element* x, std::int64_t count) {
  for_vectors(F32(), 0, count, [&](auto d, std::int64_t i) HWY_ATTR {
    store(d, hn::Mul(gelu_tanh(d, load(d, gate + i)), load(d, x + i)), gate + i);
  });
}

template <typename Element>
void gelu_range(Element* x, std::int64_t count) {
  for_vectors(F32(), 0, count,
              [&](auto d, std::int64_t i) HWY_ATTR { store(d, gelu(d, load(d, x + i)), x + i); });
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
  for_vectors(F32(), 0, width, [&](auto d, std::int64_t i) HWY_ATTR {
    store(d, hn::Mul(gate_of(d, load(d, gate + i), function).value, load(d, up + i)), hidden + i);
  });
}

template <typename Element>
void gate_backward_row(const Element* gate, const Element* up, const Element* dh,
                       GateFunction function, Element* d_gate, Element* d_up, std::int64_t width) {
  for_vectors(F32(), 0, width, [&](auto d, std::int64_t i) HWY_ATTR {
    const auto f = gate_of(d, load(d, gate + i), function);
    const auto gradient = load(d, dh + i);
    store(d, hn::Mul(hn::Mul(gradient, load(d, up + i)), f.slope), d_gate + i);
    store(d, hn::Mul(gradient, f.value), d_up + i);
  });
}

template <typename Element>
ElementKernels<Element> element_kernels_of() {
  return {add_range<Element>,           scale_range<Element>, sigmoid_mul_range<Element>,
          gelu_tanh_mul_range<Element>, gelu_range<Element>,  gate_row<Element>,
          gate_backward_row<Element>};
}
ElementKernelsOfTypes make_element_kernels() {
  return {element_kernels_of<float>(), element_kernels_of<BFloat16>()};
}

}  // namespace HWY_NAMESPACE
}  // namespace charm::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace charm::kernels {
namespace {

HWY_EXPORT(make_element_kernels);

template <typename Element>
const ElementKernels<Element>& element_kernels() {
  static const ElementKernelsOfTypes kKernels = HWY_DYNAMIC_DISPATCH(make_element_kernels)();
  return std::get<ElementKernels<Element>>(kKernels);
}

/// body(begin, elements) on ranges that are worth waking a worker.
template <typename Body>
void for_ranges(std::int64_t count, const Body& body) {
  constexpr std::int64_t kElements = 16384;
  parallel_for_ranges(count, kElements,
                      [&](std::int64_t begin, std::int64_t end) { body(begin, end - begin); });
}

/// body(t) for every row of a gated MLP.
template <typename Body>
void for_rows(std::int64_t rows, std::int64_t width, const Body& body) {
  constexpr std::int64_t kElements = 4096;
  const std::int64_t grain =
      std::max<std::int64_t>(1, kElements / std::max<std::int64_t>(1, width));
  parallel_for_ranges(rows, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = begin; t < end; ++t) body(t);
  });
}

}  // namespace

template <typename Element>
void add(Element* to, const Element* x, std::int64_t count) {
  for_ranges(count, [&](std::int64_t at, std::int64_t elements) {
    element_kernels<Element>().add(to + at, x + at, elements);
  });
}

template <typename Element>
void scale(Element* x, float factor, std::int64_t count) {
  for_ranges(count, [&](std::int64_t at, std::int64_t elements) {
    element_kernels<Element>().scale(x + at, factor, elements);
  });
}

template <typename Element>
void sigmoid_mul(Element* x, const Element* gate, std::int64_t count) {
  for_ranges(count, [&](std::int64_t at, std::int64_t elements) {
    element_kernels<Element>().sigmoid_mul(x + at, gate + at, elements);
  });
}

template <typename Element>
void gelu_tanh_mul(Element* gate, const Element* x, std::int64_t count) {
  for_ranges(count, [&](std::int64_t at, std::int64_t elements) {
    element_kernels<Element>().gelu_tanh_mul(gate + at, x + at, elements);
  });
}

template <typename Element>
void gelu(Element* x, std::int64_t count) {
  for_ranges(count, [&](std::int64_t at, std::int64_t elements) {
    element_kernels<Element>().gelu(x + at, elements);
  });
}

template <typename Element>
void gate_rows(const Element* gate_TF, const Element* up_TF, GateFunction function,
               Element* hidden_TF, std::int64_t rows, std::int64_t width) {
  const auto& kernels = element_kernels<Element>();
  for_rows(rows, width, [&](std::int64_t t) {
    kernels.gate(gate_TF + t * width, up_TF + t * width, function, hidden_TF + t * width, width);
  });
}

template <typename Element>
void gate_backward(const Element* gate_TF, const Element* up_TF, const Element* d_hidden_TF,
                   GateFunction function, Element* d_gate_up_T2F, std::int64_t rows,
                   std::int64_t width) {
  const auto& kernels = element_kernels<Element>();
  for_rows(rows, width, [&](std::int64_t t) {
    Element* out = d_gate_up_T2F + 2 * t * width;
    kernels.gate_backward(gate_TF + t * width, up_TF + t * width, d_hidden_TF + t * width, function,
                          out, out + width, width);
  });
}

void softcap(float* x, float cap, std::int64_t count) {
  constexpr std::int64_t kElements = 2048;  // a tanh costs as much as eight additions
  parallel_for_ranges(count, kElements, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i)
      x[i] = static_cast<float>(std::tanh(static_cast<double>(x[i] / cap))) * cap;
  });
}

#define CHARM_KERNELS_FOR(Element)                                                         \
  template void add<Element>(Element*, const Element*, std::int64_t);                      \
  template void scale<Element>(Element*, float, std::int64_t);                             \
  template void sigmoid_mul<Element>(Element*, const Element*, std::int64_t);              \
  template void gelu_tanh_mul<Element>(Element*, const Element*, std::int64_t);            \
  template void gelu<Element>(Element*, std::int64_t);                                     \
  template void gate_rows<Element>(const Element*, const Element*, GateFunction, Element*, \
                                   std::int64_t, std::int64_t);                            \
  template void gate_backward<Element>(const Element*, const Element*, const Element*,     \
                                       GateFunction, Element*, std::int64_t, std::int64_t);
CHARM_KERNELS_FOR(float)
CHARM_KERNELS_FOR(BFloat16)
#undef CHARM_KERNELS_FOR

}  // namespace charm::kernels
#endif
