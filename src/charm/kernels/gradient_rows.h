#pragma once

#include <cstdint>

#include "charm/kernels/kernels.h"

// One row (or one head of one row) of each kernel of row_gradients.h, dispatched at run time.
// Internal to this folder.
namespace charm::kernels {

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
  void (*gate)(const Element* gate, const Element* up, GateFunction function, Element* hidden,
               std::int64_t width);
  void (*gate_backward)(const Element* gate, const Element* up, const Element* d_hidden,
                        GateFunction function, Element* d_gate, Element* d_up, std::int64_t width);
};

template <typename Element>
const GradientRowKernels<Element>& gradient_row_kernels();

/// Factors of one AdamW step.
struct AdamWFactors {
  float kept;          ///< 1 - lr weight_decay
  float beta1, rest1;  ///< rest = 1 - beta
  float beta2, rest2;
  float step_size;   ///< lr / (1 - beta1^t)
  float root_scale;  ///< 1 / sqrt(1 - beta2^t)
  float eps;
};

struct UpdateKernels {
  void (*round)(const float* from, BFloat16* to, std::int64_t count);
  void (*adamw)(float* p, const float* g, float* m, float* v, const AdamWFactors& factors,
                std::int64_t count);
};

const UpdateKernels& update_kernels();

}  // namespace charm::kernels
