#include "charm/kernels/row_gradients.h"

#include <algorithm>
#include <cmath>
#include <tuple>
#include <vector>

#include "charm/kernels/thread_pool.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "charm/kernels/row_gradients.cpp"
#include <hwy/foreach_target.h>  // compiles this file once per instruction set
#include <hwy/highway.h>
#include <hwy/contrib/math/math-inl.h>

#include "charm/kernels/vectors_inl.h"

#ifndef CHARM_KERNELS_ROW_GRADIENTS_ONCE
#define CHARM_KERNELS_ROW_GRADIENTS_ONCE
namespace charm::kernels {

/// One row (or one head of one row) of each kernel.
template <typename Element>
struct GradientRowKernels {
  float (*inverse_rms)(const Element* x, float eps, std::int64_t width);
  void (*norm)(const Element* x, const float* w, float offset, float eps, Element* out,
               std::int64_t width);
  void (*norm_backward)(const Element* x, const Element* dy, const float* w, float offset,
                        float eps, Element* dx, std::int64_t width, bool add);
  void (*norm_weight)(const Element* x, const Element* dy, float inverse_rms, std::int64_t begin,
                      std::int64_t end, float* sum);
  void (*add_row)(const Element* row, float scale, std::int64_t begin, std::int64_t end,
                  float* sum);
  void (*rope)(Element* x, const float* cos, const float* sin, std::int64_t half, float sign);
};
using GradientRowKernelsOfTypes =
    std::tuple<GradientRowKernels<float>, GradientRowKernels<BFloat16>>;

}  // namespace charm::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace charm::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
using F32 = hn::CappedTag<float, 16>;
using One = hn::CappedTag<float, 1>;  ///< columns beyond the last whole vector
using Vec = hn::Vec<F32>;

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
  for_vectors(F32(), 0, width, [&](auto d, std::int64_t i) HWY_ATTR {
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
  for_vectors(F32(), 0, width, [&](auto d, std::int64_t i) HWY_ATTR {
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
  for_vectors(F32(), begin, end, [&](auto d, std::int64_t i) HWY_ATTR {
    const auto scaled = hn::Mul(load(d, x + i), hn::Set(d, r));
    hn::StoreU(hn::MulAdd(load(d, dy + i), scaled, hn::LoadU(d, sum + i)), d, sum + i);
  });
}

/// Columns `begin` .. `end` of sum += scale * row.
template <typename Element>
void add_row(const Element* row, float scale, std::int64_t begin, std::int64_t end, float* sum) {
  for_vectors(F32(), begin, end, [&](auto d, std::int64_t i) HWY_ATTR {
    hn::StoreU(hn::MulAdd(load(d, row + i), hn::Set(d, scale), hn::LoadU(d, sum + i)), d, sum + i);
  });
}

template <typename Element>
void rope_head(Element* x, const float* cos, const float* sin, std::int64_t half, float sign) {
  for_vectors(F32(), 0, half, [&](auto d, std::int64_t i) HWY_ATTR {
    const auto low = load(d, x + i);
    const auto high = load(d, x + half + i);
    const auto c = hn::LoadU(d, cos + i);
    const auto s = hn::Mul(hn::LoadU(d, sin + i), hn::Set(d, sign));
    store(d, hn::NegMulAdd(high, s, hn::Mul(low, c)), x + i);
    store(d, hn::MulAdd(low, s, hn::Mul(high, c)), x + half + i);
  });
}

template <typename Element>
GradientRowKernels<Element> gradient_rows_of() {
  return {inverse_rms<Element>,     norm_row<Element>, norm_backward_row<Element>,
          norm_weight_row<Element>, add_row<Element>,  rope_head<Element>};
}
GradientRowKernelsOfTypes make_gradient_rows() {
  return {gradient_rows_of<float>(), gradient_rows_of<BFloat16>()};
}

}  // namespace HWY_NAMESPACE
}  // namespace charm::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace charm::kernels {
namespace {

HWY_EXPORT(make_gradient_rows);

template <typename Element>
const GradientRowKernels<Element>& gradient_row_kernels() {
  static const GradientRowKernelsOfTypes kKernels = HWY_DYNAMIC_DISPATCH(make_gradient_rows)();
  return std::get<GradientRowKernels<Element>>(kKernels);
}

constexpr std::int64_t kElementsPerTask = 16384;  ///< amortises waking a worker
constexpr std::int64_t kColumnsPerTask = 32;      ///< a cache line of bfloat16

template <typename Body>
void for_rows(std::int64_t rows, std::int64_t width, const Body& body) {
  const std::int64_t grain =
      std::max<std::int64_t>(1, kElementsPerTask / std::max<std::int64_t>(1, width));
  parallel_for_ranges(rows, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = begin; t < end; ++t) body(t);
  });
}

}  // namespace

template <typename Element>
void rms_norm_rows(const Rows<const Element>& x, const float* weight_D, float weight_offset,
                   float eps, const Rows<Element>& out, std::int64_t rows, std::int64_t heads,
                   std::int64_t width) {
  const auto& kernels = gradient_row_kernels<Element>();
  for_rows(rows, heads * width, [&](std::int64_t t) {
    for (std::int64_t h = 0; h < heads; ++h) {
      kernels.norm(x.data + t * x.stride + h * width, weight_D, weight_offset, eps,
                   out.data + t * out.stride + h * width, width);
    }
  });
}

template <typename Element>
void rms_norm_backward(const NormRows<Element>& norm, const Rows<Element>& dx, bool add) {
  const auto& kernels = gradient_row_kernels<Element>();
  for_rows(norm.rows, norm.heads * norm.width, [&](std::int64_t t) {
    for (std::int64_t h = 0; h < norm.heads; ++h) {
      const std::int64_t at = h * norm.width;
      kernels.norm_backward(norm.x.data + t * norm.x.stride + at,
                            norm.dy.data + t * norm.dy.stride + at, norm.weight, norm.weight_offset,
                            norm.eps, dx.data + t * dx.stride + at, norm.width, add);
    }
  });
}

template <typename Element>
void add_norm_weight_gradient(const NormRows<Element>& norm, float* gradient_D) {
  const auto& kernels = gradient_row_kernels<Element>();
  std::vector<float> inverse(static_cast<std::size_t>(norm.rows * norm.heads));
  for_rows(norm.rows, norm.heads * norm.width, [&](std::int64_t t) {
    for (std::int64_t h = 0; h < norm.heads; ++h) {
      inverse[static_cast<std::size_t>(t * norm.heads + h)] = kernels.inverse_rms(
          norm.x.data + t * norm.x.stride + h * norm.width, norm.eps, norm.width);
    }
  });
  parallel_for_ranges(norm.width, kColumnsPerTask, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = 0; t < norm.rows; ++t) {
      for (std::int64_t h = 0; h < norm.heads; ++h) {
        const std::int64_t at = h * norm.width;
        kernels.norm_weight(
            norm.x.data + t * norm.x.stride + at, norm.dy.data + t * norm.dy.stride + at,
            inverse[static_cast<std::size_t>(t * norm.heads + h)], begin, end, gradient_D);
      }
    }
  });
}

template <typename Element>
void rope_rows(const Rows<Element>& x, const float* cos_TF, const float* sin_TF, std::int64_t rows,
               std::int64_t heads, std::int64_t head_dim, std::int64_t rotary_dim, bool inverse) {
  const auto& kernels = gradient_row_kernels<Element>();
  const std::int64_t half = rotary_dim / 2;
  for_rows(rows, heads * head_dim, [&](std::int64_t t) {
    for (std::int64_t h = 0; h < heads; ++h) {
      kernels.rope(x.data + t * x.stride + h * head_dim, cos_TF + t * half, sin_TF + t * half, half,
                   inverse ? -1.0f : 1.0f);
    }
  });
}

template <typename Element>
void add_column_sums(const Rows<const Element>& dy, std::int64_t rows, std::int64_t columns,
                     float* gradient) {
  const auto& kernels = gradient_row_kernels<Element>();
  parallel_for_ranges(columns, kColumnsPerTask, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = 0; t < rows; ++t)
      kernels.add_row(dy.data + t * dy.stride, 1.0f, begin, end, gradient);
  });
}

template <typename Element>
void add_embedding_gradient(std::span<const std::int32_t> ids_T, const Element* dx_TD,
                            std::int64_t width, float scale, std::int32_t skipped,
                            float* gradient_VD) {
  const auto& kernels = gradient_row_kernels<Element>();
  parallel_for_ranges(width, kColumnsPerTask, [&](std::int64_t begin, std::int64_t end) {
    for (std::size_t t = 0; t < ids_T.size(); ++t) {
      if (ids_T[t] == skipped) continue;
      kernels.add_row(dx_TD + static_cast<std::int64_t>(t) * width, scale, begin, end,
                      gradient_VD + ids_T[t] * width);
    }
  });
}

#define CHARM_ROW_GRADIENTS_FOR(Element)                                                           \
  template void rms_norm_rows<Element>(const Rows<const Element>&, const float*, float, float,     \
                                       const Rows<Element>&, std::int64_t, std::int64_t,           \
                                       std::int64_t);                                              \
  template void rms_norm_backward<Element>(const NormRows<Element>&, const Rows<Element>&, bool);  \
  template void add_norm_weight_gradient<Element>(const NormRows<Element>&, float*);               \
  template void rope_rows<Element>(const Rows<Element>&, const float*, const float*, std::int64_t, \
                                   std::int64_t, std::int64_t, std::int64_t, bool);                \
  template void add_column_sums<Element>(const Rows<const Element>&, std::int64_t, std::int64_t,   \
                                         float*);                                                  \
  template void add_embedding_gradient<Element>(std::span<const std::int32_t>, const Element*,     \
                                                std::int64_t, float, std::int32_t, float*);
CHARM_ROW_GRADIENTS_FOR(float)
CHARM_ROW_GRADIENTS_FOR(BFloat16)
#undef CHARM_ROW_GRADIENTS_FOR

}  // namespace charm::kernels
#endif
