#include "charm/kernels/kernels.h"

#include <sys/mman.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <new>
#include <tuple>

#include "charm/kernels/thread_pool.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "charm/kernels/kernels.cpp"
#include <hwy/foreach_target.h>  // compiles this file once per instruction set
#include <hwy/highway.h>
#include <hwy/contrib/math/math-inl.h>

#include "charm/kernels/vectors_inl.h"

#ifndef CHARM_KERNELS_ROW_KERNELS
#define CHARM_KERNELS_ROW_KERNELS
namespace charm::kernels {

/// One row, or one head of one row, of each kernel.
template <typename Element>
struct RowKernels {
  void (*rms_norm)(const Element* x, const Element* w, float offset, float eps, Element* out,
                   std::int64_t width);
  void (*rope)(Element* x, const float* cos, const float* sin, std::int64_t half);
};
using RowKernelsOfTypes = std::tuple<RowKernels<float>, RowKernels<BFloat16>>;

}  // namespace charm::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace charm::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
using F32 = hn::ScalableTag<float>;
using Vec = hn::Vec<F32>;

// Columns beyond the last whole vector take the scalar branch. Which columns those are depends on
// the width alone, so every row of a tensor takes the same path.

template <typename Element>
void rms_norm_row(const Element* x, const Element* w, float offset, float eps, Element* out,
                  std::int64_t width) {
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
  for (; i < width; ++i) total += widened(x[i]) * widened(x[i]);
  const float scale = 1.0f / std::sqrt(total / static_cast<float>(width) + eps);
  const Vec scale_v = hn::Set(d, scale);
  const Vec offset_v = hn::Set(d, offset);
  for (i = 0; i + lanes <= width; i += lanes) {
    store(d, hn::Mul(hn::Add(load(d, w + i), offset_v), hn::Mul(load(d, x + i), scale_v)), out + i);
  }
  for (; i < width; ++i) narrow_to((widened(w[i]) + offset) * (widened(x[i]) * scale), out[i]);
}

template <typename Element>
void rope_head(Element* x, const float* cos, const float* sin, std::int64_t half) {
  const F32 d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = 0;
  for (; i + lanes <= half; i += lanes) {
    const Vec low = load(d, x + i);
    const Vec high = load(d, x + half + i);
    const Vec c = hn::LoadU(d, cos + i);
    const Vec s = hn::LoadU(d, sin + i);
    store(d, hn::NegMulAdd(high, s, hn::Mul(low, c)), x + i);
    store(d, hn::MulAdd(low, s, hn::Mul(high, c)), x + half + i);
  }
  for (; i < half; ++i) {
    const float low = widened(x[i]);
    const float high = widened(x[half + i]);
    narrow_to(low * cos[i] - high * sin[i], x[i]);
    narrow_to(high * cos[i] + low * sin[i], x[half + i]);
  }
}

template <typename Element>
RowKernels<Element> row_kernels_of() {
  return {rms_norm_row<Element>, rope_head<Element>};
}
RowKernelsOfTypes make_row_kernels() {
  return {row_kernels_of<float>(), row_kernels_of<BFloat16>()};
}

double softmax_row(const float* logits, std::int64_t count, float scale, float* weights) {
  const F32 d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const std::int64_t whole = count / lanes * lanes;
  float largest = logits[0];
  if (whole > 0) {
    auto most = hn::LoadU(d, logits);
    for (std::int64_t i = lanes; i < whole; i += lanes)
      most = hn::Max(most, hn::LoadU(d, logits + i));
    largest = hn::GetLane(hn::MaxOfLanes(d, most));
  }
  for (std::int64_t i = whole; i < count; ++i) largest = std::max(largest, logits[i]);
  const auto largest_v = hn::Set(d, largest);
  const auto scale_v = hn::Set(d, scale);
  const auto lowest =
      hn::Set(d, -100.0f);  // Highway's Exp needs finite values; exp(-100) is negligible beside 1
  double total = 0.0;
  constexpr std::int64_t kRun = 64;  // vectors summed in float32 before adding to the float64 sum
  for (std::int64_t begin = 0; begin < whole; begin += kRun * lanes) {
    const std::int64_t end = std::min(whole, begin + kRun * lanes);
    auto sum = hn::Zero(d);
    for (std::int64_t i = begin; i < end; i += lanes) {
      const auto x = hn::Mul(hn::Sub(hn::LoadU(d, logits + i), largest_v), scale_v);
      const auto weight = hn::IfThenElseZero(hn::Gt(x, lowest), hn::Exp(d, hn::Max(x, lowest)));
      hn::StoreU(weight, d, weights + i);
      sum = hn::Add(sum, weight);
    }
    total += static_cast<double>(hn::GetLane(hn::SumOfLanes(d, sum)));
  }
  for (std::int64_t i = whole; i < count; ++i) {
    const float x = (logits[i] - largest) * scale;
    weights[i] = x > -100.0f ? std::exp(x) : 0.0f;
    total += static_cast<double>(weights[i]);
  }
  return total;
}

const char* target_name() { return hwy::TargetName(HWY_TARGET); }

}  // namespace HWY_NAMESPACE
}  // namespace charm::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace charm::kernels {
namespace {

HWY_EXPORT(make_row_kernels);
HWY_EXPORT(softmax_row);
HWY_EXPORT(target_name);

/// Elements of a task: enough work to amortise waking a worker.
constexpr std::int64_t kElements = 16384;

template <typename Element>
const RowKernels<Element>& row_kernels() {
  static const RowKernelsOfTypes kKernels = HWY_DYNAMIC_DISPATCH(make_row_kernels)();
  return std::get<RowKernels<Element>>(kKernels);
}

template <typename Body>
void for_rows(std::int64_t rows, std::int64_t row_cost, const Body& body) {
  const std::int64_t grain =
      std::max<std::int64_t>(1, kElements / std::max<std::int64_t>(1, row_cost));
  parallel_for_ranges(rows, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = begin; t < end; ++t) body(t);
  });
}

constexpr std::size_t kCacheLine = 64;
constexpr std::size_t kHugePage = std::size_t{2} << 20;

}  // namespace

HugePageBuffer::HugePageBuffer(std::size_t words) : size_(words) {
  // Huge pages pay only where several are used: the last one wastes memory.
  const std::size_t alignment =
      words * sizeof(std::uint32_t) >= 4 * kHugePage ? kHugePage : kCacheLine;
  const std::size_t bytes = (words * sizeof(std::uint32_t) + alignment - 1) / alignment * alignment;
  void* memory = std::aligned_alloc(alignment, bytes == 0 ? alignment : bytes);
  if (memory == nullptr) throw std::bad_alloc();
#ifdef MADV_HUGEPAGE
  if (alignment == kHugePage)
    madvise(memory, bytes, MADV_HUGEPAGE);  // on failure the pages stay small
#endif
  words_.reset(static_cast<std::uint32_t*>(memory));
}

void HugePageBuffer::Free::operator()(std::uint32_t* memory) const { std::free(memory); }

template <typename Element>
void rms_norm(const Element* x_TD, const Element* weight_D, float eps, Element* out_TD,
              std::int64_t rows, std::int64_t width, float weight_offset) {
  const auto norm = row_kernels<Element>().rms_norm;
  for_rows(rows, width, [&](std::int64_t t) {
    norm(x_TD + t * width, weight_D, weight_offset, eps, out_TD + t * width, width);
  });
}

template <typename Element>
void rope(Element* x_THE, const float* cos_TF, const float* sin_TF, std::int64_t rows,
          std::int64_t heads, std::int64_t head_dim, std::int64_t rotary_dim) {
  const auto rotate = row_kernels<Element>().rope;
  const std::int64_t half = rotary_dim / 2;
  for_rows(rows, heads * head_dim, [&](std::int64_t t) {
    for (std::int64_t h = 0; h < heads; ++h)
      rotate(x_THE + (t * heads + h) * head_dim, cos_TF + t * half, sin_TF + t * half, half);
  });
}

void head_layer(const float* x_SI, const float* weight_OI, const float* bias_O, float* out_SO,
                std::int64_t rows, std::int64_t inputs, std::int64_t outputs) {
  for_rows(rows * outputs, inputs, [&](std::int64_t index) {
    const float* x = x_SI + index / outputs * inputs;
    const std::int64_t o = index % outputs;
    double sum = bias_O == nullptr ? 0.0 : static_cast<double>(bias_O[o]);
    for (std::int64_t i = 0; i < inputs; ++i) {
      sum += static_cast<double>(x[i]) * static_cast<double>(weight_OI[o * inputs + i]);
    }
    out_SO[index] = static_cast<float>(sum);
  });
}

double softmax_weights(const float* logits, std::int64_t count, float scale, float* weights) {
  return HWY_DYNAMIC_DISPATCH(softmax_row)(logits, count, scale, weights);
}

const char* instruction_set() { return HWY_DYNAMIC_DISPATCH(target_name)(); }

#define CHARM_KERNELS_FOR(Element)                                                               \
  template void rms_norm<Element>(const Element*, const Element*, float, Element*, std::int64_t, \
                                  std::int64_t, float);                                          \
  template void rope<Element>(Element*, const float*, const float*, std::int64_t, std::int64_t,  \
                              std::int64_t, std::int64_t);
CHARM_KERNELS_FOR(float)
CHARM_KERNELS_FOR(BFloat16)
#undef CHARM_KERNELS_FOR

}  // namespace charm::kernels
#endif
