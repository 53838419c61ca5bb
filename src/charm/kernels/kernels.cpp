#include "charm/kernels/kernels.h"

#include <algorithm>
#include <type_traits>

#include "charm/kernels/row_kernels.h"
#include "charm/kernels/thread_pool.h"

namespace charm::kernels {
namespace {

const RowKernels& dispatched() {
  static const RowKernels kKernels = row_kernels();
  return kKernels;
}

// The row kernels take raw bfloat16 bits.
const std::uint16_t* bits(const BFloat16* p) { return reinterpret_cast<const std::uint16_t*>(p); }
std::uint16_t* bits(BFloat16* p) { return reinterpret_cast<std::uint16_t*>(p); }

// Rows per task: enough work to amortise waking a worker.
template <typename Body>
void for_rows(std::int64_t rows, std::int64_t row_cost, const Body& body) {
  const std::int64_t grain = std::max<std::int64_t>(1, 16384 / std::max<std::int64_t>(1, row_cost));
  parallel_for_ranges(rows, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = begin; t < end; ++t) body(t);
  });
}

/// gate = f(gate) * up for every row; picks the kernel by element type.
template <typename Float32Row, typename BFloat16Row, typename Element>
void gate_rows(Float32Row* float32_row, BFloat16Row* bfloat16_row, Element* gate_TF,
               const Element* up_TF, std::int64_t rows, std::int64_t width) {
  for_rows(rows, 4 * width, [&](std::int64_t t) {
    if constexpr (std::is_same_v<Element, float>) {
      float32_row(gate_TF + t * width, up_TF + t * width, width);
    } else {
      bfloat16_row(bits(gate_TF + t * width), bits(up_TF + t * width), width);
    }
  });
}

}  // namespace

template <typename Element>
void rms_norm(const Element* x_TD, const Element* weight_D, float eps, Element* out_TD,
              std::int64_t rows, std::int64_t width, float weight_offset) {
  const RowKernels& k = dispatched();
  for_rows(rows, width, [&](std::int64_t t) {
    if constexpr (std::is_same_v<Element, float>) {
      k.rms_norm_f32(x_TD + t * width, weight_D, weight_offset, eps, out_TD + t * width, width);
    } else {
      k.rms_norm_bf16(bits(x_TD + t * width), bits(weight_D), weight_offset, eps,
                      bits(out_TD + t * width), width);
    }
  });
}

template <typename Element>
void rope(Element* x_THE, const float* cos_TF, const float* sin_TF, std::int64_t rows,
          std::int64_t heads, std::int64_t head_dim, std::int64_t rotary_dim) {
  const RowKernels& k = dispatched();
  const std::int64_t half = rotary_dim / 2;
  for_rows(rows, heads * head_dim, [&](std::int64_t t) {
    for (std::int64_t h = 0; h < heads; ++h) {
      Element* x = x_THE + (t * heads + h) * head_dim;
      if constexpr (std::is_same_v<Element, float>) {
        k.rope_f32(x, cos_TF + t * half, sin_TF + t * half, x, half);
      } else {
        k.rope_bf16(bits(x), cos_TF + t * half, sin_TF + t * half, bits(x), half);
      }
    }
  });
}

template <typename Element>
void silu_mul(Element* gate_TF, const Element* up_TF, std::int64_t rows, std::int64_t width) {
  gate_rows(dispatched().silu_mul_f32, dispatched().silu_mul_bf16, gate_TF, up_TF, rows, width);
}

template <typename Element>
void gelu_mul(Element* gate_TF, const Element* up_TF, std::int64_t rows, std::int64_t width) {
  gate_rows(dispatched().gelu_mul_f32, dispatched().gelu_mul_bf16, gate_TF, up_TF, rows, width);
}

template <typename Element>
void gelu_tanh_mul(Element* gate_TF, const Element* up_TF, std::int64_t rows, std::int64_t width) {
  gate_rows(dispatched().gelu_tanh_mul_f32, dispatched().gelu_tanh_mul_bf16, gate_TF, up_TF, rows,
            width);
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

const char* instruction_set() { return dispatched().instruction_set; }

#define CHARM_KERNELS_FOR(Element)                                                               \
  template void rms_norm<Element>(const Element*, const Element*, float, Element*, std::int64_t, \
                                  std::int64_t, float);                                          \
  template void rope<Element>(Element*, const float*, const float*, std::int64_t, std::int64_t,  \
                              std::int64_t, std::int64_t);                                       \
  template void silu_mul<Element>(Element*, const Element*, std::int64_t, std::int64_t);         \
  template void gelu_mul<Element>(Element*, const Element*, std::int64_t, std::int64_t);         \
  template void gelu_tanh_mul<Element>(Element*, const Element*, std::int64_t, std::int64_t);
CHARM_KERNELS_FOR(float)
CHARM_KERNELS_FOR(BFloat16)
#undef CHARM_KERNELS_FOR

}  // namespace charm::kernels
