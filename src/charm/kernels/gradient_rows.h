#pragma once

#include <cstdint>

#include "charm/kernels/gemm.h"

// One row (or one head of one row) of each kernel of row_gradients.h, dispatched at run time.
// Internal to this folder.
namespace charm::kernels {

/// `Memory` is float, or std::uint16_t for bfloat16.
template <typename Memory>
struct GradientRowKernels {
  float (*inverse_rms)(const Memory* x, float eps, std::int64_t width);
  void (*norm)(const Memory* x, const float* w, float offset, float eps, Memory* out,
               std::int64_t width);
  void (*norm_backward)(const Memory* x, const Memory* dy, const float* w, float offset, float eps,
                        Memory* dx, std::int64_t width, bool add);
  void (*norm_weight)(const Memory* x, const Memory* dy, float inverse_rms, std::int64_t begin,
                      std::int64_t end, float* sum);
  void (*add_row)(const Memory* row, float scale, std::int64_t begin, std::int64_t end, float* sum);
  void (*rope)(Memory* x, const float* cos, const float* sin, std::int64_t half, float sign);
  void (*gate)(const Memory* gate, const Memory* up, GateFunction function, Memory* hidden,
               std::int64_t width);
  void (*gate_backward)(const Memory* gate, const Memory* up, const Memory* d_hidden,
                        GateFunction function, Memory* d_gate, Memory* d_up, std::int64_t width);
};

template <typename Memory>
const GradientRowKernels<Memory>& gradient_row_kernels();

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
  void (*round)(const float* from, std::uint16_t* to, std::int64_t count);
  void (*adamw)(float* p, const float* g, float* m, float* v, const AdamWFactors& factors,
                std::int64_t count);
};

const UpdateKernels& update_kernels();

}  // namespace charm::kernels
