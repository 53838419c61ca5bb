#include "charm/kernels/delta_net.h"

#include <algorithm>
#include <cmath>
#include <tuple>
#include <vector>

#include "charm/kernels/thread_pool.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "charm/kernels/delta_net.cpp"
#include <hwy/foreach_target.h>  // compiles this file once per instruction set
#include <hwy/highway.h>
#include <hwy/contrib/math/math-inl.h>

#include "charm/kernels/vectors_inl.h"

#ifndef CHARM_KERNELS_DELTA_NET_ONCE
#define CHARM_KERNELS_DELTA_NET_ONCE
namespace charm::kernels {
/// Columns of a head's state that are computed together: [key_dim][32] of it fit the L1 cache.
constexpr std::int64_t kStateColumns = 32;

/// One head's columns of the state over the rows of a span.
struct DeltaBlock {
  const float *q, *k, *v;     ///< of the first row; rows are `row_stride` apart
  const float *decay, *beta;  ///< of the first row; rows are `gate_stride` apart
  std::int64_t row_stride, gate_stride, out_stride;
  std::int64_t rows, key_dim, columns;
  float* state;  ///< [key_dim][32]
  float* out;
};

template <typename Element>
struct DeltaRowKernels {
  void (*conv)(const Element* const* rows, const float* weight_WC, std::int64_t taps,
               std::int64_t channels, std::int64_t begin, std::int64_t end, float* out);
  void (*gated_norm)(const float* x, const Element* z, const float* weight, float eps,
                     std::int64_t width, Element* out);
};
struct DeltaKernels {
  std::tuple<DeltaRowKernels<float>, DeltaRowKernels<BFloat16>> of_types;
  void (*l2_normalize)(float* x, std::int64_t width, float factor);
  void (*run_block)(const DeltaBlock& block);
};
}  // namespace charm::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace charm::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// sum_w weight[w, c] * rows[w][c] with SiLU, for channels `begin` .. `end`.
template <typename Element>
void conv_row(const Element* const* rows, const float* weight_WC, std::int64_t taps,
              std::int64_t channels, std::int64_t begin, std::int64_t end, float* out) {
  for_vectors(hn::ScalableTag<float>(), begin, end, [&](auto d, std::int64_t c) HWY_ATTR {
    auto sum = hn::Zero(d);
    for (std::int64_t w = 0; w < taps; ++w)
      sum = hn::MulAdd(load(d, rows[w] + c), hn::LoadU(d, weight_WC + w * channels + c), sum);
    hn::StoreU(silu(d, sum), d, out + c);
  });
}

float sum_of_squares(const float* x, std::int64_t width) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  auto sum = hn::Zero(d);
  std::int64_t i = 0;
  for (; i + lanes <= width; i += lanes) {
    const auto v = hn::LoadU(d, x + i);
    sum = hn::MulAdd(v, v, sum);
  }
  float total = hn::GetLane(hn::SumOfLanes(d, sum));
  for (; i < width; ++i) total += x[i] * x[i];
  return total;
}

void l2_normalize_row(float* x, std::int64_t width, float factor) {
  const float scale = factor / std::sqrt(sum_of_squares(x, width) + 1e-6f);
  for (std::int64_t i = 0; i < width; ++i) x[i] *= scale;
}

template <typename Element>
void gated_norm_row(const float* x, const Element* z, const float* weight, float eps,
                    std::int64_t width, Element* out) {
  const float scale = 1.0f / std::sqrt(sum_of_squares(x, width) / static_cast<float>(width) + eps);
  for_vectors(hn::ScalableTag<float>(), 0, width, [&](auto d, std::int64_t i) HWY_ATTR {
    const auto normed =
        hn::Mul(hn::Mul(hn::LoadU(d, x + i), hn::Set(d, scale)), hn::LoadU(d, weight + i));
    store(d, hn::Mul(normed, silu(d, load(d, z + i))), out + i);
  });
}

void run_delta_block(const DeltaBlock& block) {
  const hn::CappedTag<float, 16> d;
  using Vec = hn::Vec<decltype(d)>;
  constexpr std::int64_t kLanes = hn::MaxLanes(d);
  constexpr std::int64_t kVectors = kStateColumns / kLanes;
  float values[kStateColumns] = {}, outputs[kStateColumns];
  for (std::int64_t t = 0; t < block.rows; ++t) {
    const float* q = block.q + t * block.row_stride;
    const float* k = block.k + t * block.row_stride;
    std::copy_n(block.v + t * block.row_stride, block.columns, values);
    const auto decay = hn::Set(d, block.decay[t * block.gate_stride]);
    const auto beta = hn::Set(d, block.beta[t * block.gate_stride]);
    Vec sum[kVectors], delta[kVectors];
    for (std::int64_t j = 0; j < kVectors; ++j) sum[j] = hn::Zero(d);
    for (std::int64_t i = 0; i < block.key_dim; ++i) {
      const auto key = hn::Set(d, k[i]);
      for (std::int64_t j = 0; j < kVectors; ++j) {
        const float* state = block.state + i * kStateColumns + j * kLanes;
        sum[j] = hn::MulAdd(hn::LoadU(d, state), key, sum[j]);
      }
    }
    for (std::int64_t j = 0; j < kVectors; ++j) {
      delta[j] = hn::Mul(beta, hn::NegMulAdd(decay, sum[j], hn::LoadU(d, values + j * kLanes)));
      sum[j] = hn::Zero(d);
    }
    for (std::int64_t i = 0; i < block.key_dim; ++i) {
      const auto key = hn::Set(d, k[i]);
      const auto query = hn::Set(d, q[i]);
      for (std::int64_t j = 0; j < kVectors; ++j) {
        float* state = block.state + i * kStateColumns + j * kLanes;
        const auto next = hn::MulAdd(key, delta[j], hn::Mul(decay, hn::LoadU(d, state)));
        hn::StoreU(next, d, state);
        sum[j] = hn::MulAdd(next, query, sum[j]);
      }
    }
    for (std::int64_t j = 0; j < kVectors; ++j) hn::StoreU(sum[j], d, outputs + j * kLanes);
    std::copy_n(outputs, block.columns, block.out + t * block.out_stride);
  }
}

template <typename Element>
DeltaRowKernels<Element> delta_rows_of() {
  return {conv_row<Element>, gated_norm_row<Element>};
}
DeltaKernels make_delta_kernels() {
  return {{delta_rows_of<float>(), delta_rows_of<BFloat16>()}, l2_normalize_row, run_delta_block};
}

}  // namespace HWY_NAMESPACE
}  // namespace charm::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace charm::kernels {
namespace {

HWY_EXPORT(make_delta_kernels);

const DeltaKernels& delta_kernels() {
  static const DeltaKernels kKernels = HWY_DYNAMIC_DISPATCH(make_delta_kernels)();
  return kKernels;
}
template <typename Element>
const DeltaRowKernels<Element>& delta_row_kernels() {
  return std::get<DeltaRowKernels<Element>>(delta_kernels().of_types);
}

/// Rows of a task that costs `row_cost` additions each: enough to amortise waking a worker.
std::int64_t row_grain(std::int64_t row_cost) {
  return std::max<std::int64_t>(1, 16384 / std::max<std::int64_t>(1, row_cost));
}

std::int64_t blocks_of(std::int64_t value_dim) {
  return (value_dim + kStateColumns - 1) / kStateColumns;
}

/// Row `index` of the rows before a span and its own; -(W-1) is the first.
template <typename Element>
const Element* row_at(const Element* x_TC, const ConvSpan<Element>& span, std::int64_t index,
                      std::int64_t taps, std::int64_t channels, const Element* zeros) {
  if (index >= 0) return x_TC + (span.begin + index) * channels;
  return span.before == nullptr ? zeros : span.before + (index + taps - 1) * channels;
}

}  // namespace

template <typename Element>
void causal_conv_silu(const Element* x_TC, std::span<const ConvSpan<Element>> spans,
                      const float* weight_WC, std::int64_t taps, std::int64_t channels,
                      float* out_TC) {
  constexpr std::int64_t kGrain = 64;  // channels of a task
  const auto conv = delta_row_kernels<Element>().conv;
  const std::vector<Element> zeros(static_cast<std::size_t>(channels), Element{});
  parallel_for_ranges(channels, kGrain, [&](std::int64_t begin, std::int64_t end) {
    std::vector<const Element*> rows(static_cast<std::size_t>(taps));
    for (const ConvSpan<Element>& span : spans) {
      const auto at = [&](std::int64_t index) {
        return row_at(x_TC, span, index, taps, channels, zeros.data());
      };
      for (std::int64_t t = 0; t < span.length; ++t) {
        for (std::int64_t w = 0; w < taps; ++w)
          rows[static_cast<std::size_t>(w)] = at(t - taps + 1 + w);
        conv(rows.data(), weight_WC, taps, channels, begin, end,
             out_TC + (span.begin + t) * channels);
      }
      if (span.after == nullptr) continue;
      // In order: row w of `before` is read before it is written where they are the same.
      for (std::int64_t w = 0; w + 1 < taps; ++w) {
        const Element* from = at(span.length + w - taps + 1);
        std::copy(from + begin, from + end, span.after + w * channels + begin);
      }
    }
  });
}

void l2_normalize(float* x, std::int64_t rows, std::int64_t row_stride, std::int64_t heads,
                  std::int64_t head_dim, float factor) {
  const auto normalize = delta_kernels().l2_normalize;
  const std::int64_t grain = row_grain(2 * heads * head_dim);
  parallel_for_ranges(rows, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = begin; t < end; ++t) {
      for (std::int64_t h = 0; h < heads; ++h)
        normalize(x + t * row_stride + h * head_dim, head_dim, factor);
    }
  });
}

template <typename Element>
void delta_gates(const Element* a_TH, const Element* b_TH, const float* rate_H, const float* bias_H,
                 std::int64_t rows, std::int64_t heads, float* decay_TH, float* beta_TH) {
  constexpr std::int64_t kCosts = 32;  // of the exponentials, in additions
  parallel_for_ranges(rows, row_grain(kCosts * heads), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin * heads; i < end * heads; ++i) {
      const float x = widened(a_TH[i]) + bias_H[i % heads];
      // torch's softplus is the identity above 20.
      const float softplus = x > 20.0f ? x : std::log1p(std::exp(x));
      decay_TH[i] = std::exp(-rate_H[i % heads] * softplus);
      beta_TH[i] = 1.0f / (1.0f + std::exp(-widened(b_TH[i])));
    }
  });
}

std::int64_t DeltaShape::state_size() const {
  return value_heads * blocks_of(value_dim) * key_dim * kStateColumns;
}

void gated_delta_rule(const float* qkv_TC, const float* decay_TH, const float* beta_TH,
                      std::span<const DeltaSpan> spans, const DeltaShape& shape, float* out_THE) {
  const std::int64_t blocks = blocks_of(shape.value_dim);
  const std::int64_t floats = shape.key_dim * kStateColumns;
  const std::int64_t values_per_key = shape.value_heads / shape.key_heads;
  const auto run_block = delta_kernels().run_block;
  parallel_for_ranges(shape.value_heads * blocks, 1, [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> scratch(static_cast<std::size_t>(floats));
    for (std::int64_t task = begin; task < end; ++task) {
      const std::int64_t head = task / blocks, column = task % blocks * kStateColumns;
      for (const DeltaSpan& span : spans) {
        if (span.before == nullptr) {
          std::fill(scratch.begin(), scratch.end(), 0.0f);
        } else {
          std::copy_n(span.before + task * floats, floats, scratch.begin());
        }
        const float* row = qkv_TC + span.begin * shape.channels();
        const float* key = row + shape.keys() + head / values_per_key * shape.key_dim;
        run_block({.q = key - shape.keys(),
                   .k = key,
                   .v = row + 2 * shape.keys() + head * shape.value_dim + column,
                   .decay = decay_TH + span.begin * shape.value_heads + head,
                   .beta = beta_TH + span.begin * shape.value_heads + head,
                   .row_stride = shape.channels(),
                   .gate_stride = shape.value_heads,
                   .out_stride = shape.values(),
                   .rows = span.length,
                   .key_dim = shape.key_dim,
                   .columns = std::min(kStateColumns, shape.value_dim - column),
                   .state = scratch.data(),
                   .out = out_THE + span.begin * shape.values() + head * shape.value_dim + column});
        if (span.after != nullptr) std::copy_n(scratch.begin(), floats, span.after + task * floats);
      }
    }
  });
}

template <typename Element>
void gated_rms_norm(const float* x_NE, const Element* z_NE, const float* weight_E, float eps,
                    std::int64_t rows, std::int64_t width, Element* out_NE) {
  const auto norm = delta_row_kernels<Element>().gated_norm;
  parallel_for_ranges(rows, row_grain(8 * width), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin * width; i < end * width; i += width)
      norm(x_NE + i, z_NE + i, weight_E, eps, width, out_NE + i);
  });
}

#define CHARM_KERNELS_FOR(Element)                                                               \
  template void causal_conv_silu<Element>(const Element*, std::span<const ConvSpan<Element>>,    \
                                          const float*, std::int64_t, std::int64_t, float*);     \
  template void delta_gates<Element>(const Element*, const Element*, const float*, const float*, \
                                     std::int64_t, std::int64_t, float*, float*);                \
  template void gated_rms_norm<Element>(const float*, const Element*, const float*, float,       \
                                        std::int64_t, std::int64_t, Element*);
CHARM_KERNELS_FOR(float)
CHARM_KERNELS_FOR(BFloat16)
#undef CHARM_KERNELS_FOR

}  // namespace charm::kernels
#endif
