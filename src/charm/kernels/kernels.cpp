#include "charm/kernels/kernels.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <type_traits>
#include <vector>

#include "charm/kernels/row_kernels.h"

namespace charm::kernels {
namespace {

const RowKernels& dispatched() {
  static const RowKernels kernels = row_kernels();
  return kernels;
}

// The row kernels take raw bfloat16 bits.
const std::uint16_t* bits(const BFloat16* p) { return reinterpret_cast<const std::uint16_t*>(p); }
std::uint16_t* bits(BFloat16* p) { return reinterpret_cast<std::uint16_t*>(p); }

// Rows per task: enough work to be worth a thread's start.
template <typename Body>
void for_rows(std::int64_t rows, std::int64_t row_cost, const Body& body) {
  const std::int64_t grain = std::max<std::int64_t>(1, 16384 / std::max<std::int64_t>(1, row_cost));
  at::parallel_for(0, rows, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = begin; t < end; ++t) body(t);
  });
}

float to_float(float v) { return v; }
float to_float(BFloat16 v) {
  const std::uint32_t wide = static_cast<std::uint32_t>(v.bits) << 16;
  return std::bit_cast<float>(wide);
}

}  // namespace

template <typename Element>
void rms_norm(const Element* x_TD, const Element* weight_D, float eps, Element* out_TD, std::int64_t rows,
              std::int64_t width) {
  const RowKernels& k = dispatched();
  for_rows(rows, width, [&](std::int64_t t) {
    if constexpr (std::is_same_v<Element, float>) {
      k.rms_norm_f32(x_TD + t * width, weight_D, eps, out_TD + t * width, width);
    } else {
      k.rms_norm_bf16(bits(x_TD + t * width), bits(weight_D), eps, bits(out_TD + t * width), width);
    }
  });
}

template <typename Element>
void rope_heads(const Element* x_THE, const float* cos_TF, const float* sin_TF, Element* out_HTE, std::int64_t rows,
                std::int64_t heads, std::int64_t head_dim) {
  const RowKernels& k = dispatched();
  const std::int64_t half = head_dim / 2;
  for_rows(rows, heads * head_dim, [&](std::int64_t t) {
    for (std::int64_t h = 0; h < heads; ++h) {
      const Element* x = x_THE + (t * heads + h) * head_dim;
      Element* out = out_HTE + (h * rows + t) * head_dim;
      if constexpr (std::is_same_v<Element, float>) {
        k.rope_f32(x, cos_TF + t * half, sin_TF + t * half, out, half);
      } else {
        k.rope_bf16(bits(x), cos_TF + t * half, sin_TF + t * half, bits(out), half);
      }
    }
  });
}

template <typename Element>
void silu_mul(Element* gate_TF, const Element* up_TF, std::int64_t rows, std::int64_t width) {
  const RowKernels& k = dispatched();
  for_rows(rows, 4 * width, [&](std::int64_t t) {
    if constexpr (std::is_same_v<Element, float>) {
      k.silu_mul_f32(gate_TF + t * width, up_TF + t * width, width);
    } else {
      k.silu_mul_bf16(bits(gate_TF + t * width), bits(up_TF + t * width), width);
    }
  });
}

template <typename Element>
void head_rows(const Element* x_SD, const Element* norm_weight_D, float eps, const float* head_D, float* score_S,
               std::int64_t rows, std::int64_t width) {
  const RowKernels& k = dispatched();
  for_rows(rows, 4 * width, [&](std::int64_t s) {
    std::vector<float> x(static_cast<std::size_t>(width));
    std::vector<float> weight(static_cast<std::size_t>(width));
    for (std::int64_t i = 0; i < width; ++i) {
      x[static_cast<std::size_t>(i)] = to_float(x_SD[s * width + i]);
      weight[static_cast<std::size_t>(i)] = to_float(norm_weight_D[i]);
    }
    k.rms_norm_f32(x.data(), weight.data(), eps, x.data(), width);
    double sum = 0.0;
    for (std::int64_t i = 0; i < width; ++i) {
      sum += static_cast<double>(x[static_cast<std::size_t>(i)]) * static_cast<double>(head_D[i]);
    }
    score_S[s] = static_cast<float>(sum);
  });
}

const char* instruction_set() { return dispatched().instruction_set; }

#define CHARM_KERNELS_FOR(Element)                                                                                   \
  template void rms_norm<Element>(const Element*, const Element*, float, Element*, std::int64_t, std::int64_t);      \
  template void rope_heads<Element>(const Element*, const float*, const float*, Element*, std::int64_t,              \
                                    std::int64_t, std::int64_t);                                                     \
  template void silu_mul<Element>(Element*, const Element*, std::int64_t, std::int64_t);                             \
  template void head_rows<Element>(const Element*, const Element*, float, const float*, float*, std::int64_t,        \
                                   std::int64_t);
CHARM_KERNELS_FOR(float)
CHARM_KERNELS_FOR(BFloat16)
#undef CHARM_KERNELS_FOR

}  // namespace charm::kernels
