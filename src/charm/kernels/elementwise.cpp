#include "charm/kernels/elementwise.h"

#include <cmath>

#include "charm/kernels/thread_pool.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "charm/kernels/elementwise.cpp"
#include <hwy/foreach_target.h>  // compiles this file once per instruction set
#include <hwy/highway.h>
#include <hwy/contrib/math/math-inl.h>

#include "charm/kernels/vectors_inl.h"

HWY_BEFORE_NAMESPACE();
namespace charm::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

template <typename Bits>
void add_range(Bits* to, const Bits* x, std::int64_t count) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) store(d, hn::Add(load(d, to + i), load(d, x + i)), to + i);
  const hn::CappedTag<float, 1> one;
  for (; i < count; ++i) store(one, hn::Add(load(one, to + i), load(one, x + i)), to + i);
}

template <typename Bits>
void scale_range(Bits* x, float factor, std::int64_t count) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes)
    store(d, hn::Mul(load(d, x + i), hn::Set(d, factor)), x + i);
  const hn::CappedTag<float, 1> one;
  for (; i < count; ++i) store(one, hn::Mul(load(one, x + i), hn::Set(one, factor)), x + i);
}

/// x / (1 + exp(-gate)).
template <class D, typename Bits>
void sigmoid_mul_lanes(D d, Bits* x, const Bits* gate) {
  const auto exponent = hn::Min(hn::Neg(load(d, gate)), hn::Set(d, kLargestExponent));
  const auto power = exp2_or_zero(d, hn::Mul(exponent, hn::Set(d, kLog2E)));
  store(d, hn::Div(load(d, x), hn::Add(hn::Set(d, 1.0f), power)), x);
}

template <typename Bits>
void sigmoid_mul_range(Bits* x, const Bits* gate, std::int64_t count) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) sigmoid_mul_lanes(d, x + i, gate + i);
  for (; i < count; ++i) sigmoid_mul_lanes(hn::CappedTag<float, 1>(), x + i, gate + i);
}

/// gate = gelu_tanh(gate) * x.
template <class D, typename Bits>
void gelu_tanh_mul_lanes(D d, Bits* gate, const Bits* x) {
  store(d, hn::Mul(gelu_tanh(d, load(d, gate)), load(d, x)), gate);
}

template <typename Bits>
void gelu_tanh_mul_range(Bits* gate, const Bits* x, std::int64_t count) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) gelu_tanh_mul_lanes(d, gate + i, x + i);
  for (; i < count; ++i) gelu_tanh_mul_lanes(hn::CappedTag<float, 1>(), gate + i, x + i);
}

template <typename Bits>
void gelu_range(Bits* x, std::int64_t count) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) store(d, gelu(d, load(d, x + i)), x + i);
  const hn::CappedTag<float, 1> one;
  for (; i < count; ++i) store(one, gelu(one, load(one, x + i)), x + i);
}

void gelu_f32(float* x, std::int64_t count) { gelu_range(x, count); }
void gelu_bf16(std::uint16_t* x, std::int64_t count) { gelu_range(x, count); }
void add_f32(float* to, const float* x, std::int64_t count) { add_range(to, x, count); }
void add_bf16(std::uint16_t* to, const std::uint16_t* x, std::int64_t count) {
  add_range(to, x, count);
}
void scale_f32(float* x, float factor, std::int64_t count) { scale_range(x, factor, count); }
void scale_bf16(std::uint16_t* x, float factor, std::int64_t count) {
  scale_range(x, factor, count);
}
void sigmoid_mul_f32(float* x, const float* gate, std::int64_t count) {
  sigmoid_mul_range(x, gate, count);
}
void sigmoid_mul_bf16(std::uint16_t* x, const std::uint16_t* gate, std::int64_t count) {
  sigmoid_mul_range(x, gate, count);
}
void gelu_tanh_mul_f32(float* gate, const float* x, std::int64_t count) {
  gelu_tanh_mul_range(gate, x, count);
}
void gelu_tanh_mul_bf16(std::uint16_t* gate, const std::uint16_t* x, std::int64_t count) {
  gelu_tanh_mul_range(gate, x, count);
}

}  // namespace HWY_NAMESPACE
}  // namespace charm::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace charm::kernels {
namespace {

/// Elements of a task: enough work to amortise waking a worker.
constexpr std::int64_t kElements = 16384;

HWY_EXPORT(add_f32);
HWY_EXPORT(add_bf16);
HWY_EXPORT(scale_f32);
HWY_EXPORT(scale_bf16);
HWY_EXPORT(sigmoid_mul_f32);
HWY_EXPORT(sigmoid_mul_bf16);
HWY_EXPORT(gelu_tanh_mul_f32);
HWY_EXPORT(gelu_tanh_mul_bf16);
HWY_EXPORT(gelu_f32);
HWY_EXPORT(gelu_bf16);

}  // namespace

template <>
void add<float>(float* to, const float* x, std::int64_t count) {
  parallel_for_ranges(count, kElements, [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(add_f32)(to + begin, x + begin, end - begin);
  });
}

template <>
void add<BFloat16>(BFloat16* to, const BFloat16* x, std::int64_t count) {
  auto* bits = reinterpret_cast<std::uint16_t*>(to);
  const auto* other = reinterpret_cast<const std::uint16_t*>(x);
  parallel_for_ranges(count, kElements, [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(add_bf16)(bits + begin, other + begin, end - begin);
  });
}

template <>
void scale<float>(float* x, float factor, std::int64_t count) {
  parallel_for_ranges(count, kElements, [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(scale_f32)(x + begin, factor, end - begin);
  });
}

template <>
void scale<BFloat16>(BFloat16* x, float factor, std::int64_t count) {
  auto* bits = reinterpret_cast<std::uint16_t*>(x);
  parallel_for_ranges(count, kElements, [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(scale_bf16)(bits + begin, factor, end - begin);
  });
}

template <>
void sigmoid_mul<float>(float* x, const float* gate, std::int64_t count) {
  parallel_for_ranges(count, kElements, [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(sigmoid_mul_f32)(x + begin, gate + begin, end - begin);
  });
}

template <>
void sigmoid_mul<BFloat16>(BFloat16* x, const BFloat16* gate, std::int64_t count) {
  auto* bits = reinterpret_cast<std::uint16_t*>(x);
  const auto* other = reinterpret_cast<const std::uint16_t*>(gate);
  parallel_for_ranges(count, kElements, [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(sigmoid_mul_bf16)(bits + begin, other + begin, end - begin);
  });
}

template <>
void gelu_tanh_mul<float>(float* gate, const float* x, std::int64_t count) {
  parallel_for_ranges(count, kElements, [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(gelu_tanh_mul_f32)(gate + begin, x + begin, end - begin);
  });
}

template <>
void gelu_tanh_mul<BFloat16>(BFloat16* gate, const BFloat16* x, std::int64_t count) {
  auto* bits = reinterpret_cast<std::uint16_t*>(gate);
  const auto* other = reinterpret_cast<const std::uint16_t*>(x);
  parallel_for_ranges(count, kElements, [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(gelu_tanh_mul_bf16)(bits + begin, other + begin, end - begin);
  });
}

template <>
void gelu<float>(float* x, std::int64_t count) {
  parallel_for_ranges(count, kElements, [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(gelu_f32)(x + begin, end - begin);
  });
}

template <>
void gelu<BFloat16>(BFloat16* x, std::int64_t count) {
  auto* bits = reinterpret_cast<std::uint16_t*>(x);
  parallel_for_ranges(count, kElements, [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(gelu_bf16)(bits + begin, end - begin);
  });
}

void softcap(float* x, float cap, std::int64_t count) {
  constexpr std::int64_t kCosts = 8;  // of a tanh, in additions
  parallel_for_ranges(count, kElements / kCosts, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i)
      x[i] = static_cast<float>(std::tanh(static_cast<double>(x[i] / cap))) * cap;
  });
}

}  // namespace charm::kernels
#endif
