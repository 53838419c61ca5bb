#pragma once

#include <cstdint>

#include "charm/kernels/kernels.h"

// One row (or one head of one row) of each kernel, dispatched at run time. Internal to this folder.
namespace charm::kernels {

struct RowKernels {
  void (*rms_norm_f32)(const float* x, const float* w, float offset, float eps, float* out,
                       std::int64_t width);
  void (*rms_norm_bf16)(const std::uint16_t* x, const std::uint16_t* w, float offset, float eps,
                        std::uint16_t* out, std::int64_t width);
  void (*rope_f32)(const float* x, const float* cos, const float* sin, float* out,
                   std::int64_t half);
  void (*rope_bf16)(const std::uint16_t* x, const float* cos, const float* sin, std::uint16_t* out,
                    std::int64_t half);
  void (*silu_mul_f32)(float* gate, const float* up, std::int64_t width);
  void (*silu_mul_bf16)(std::uint16_t* gate, const std::uint16_t* up, std::int64_t width);
  void (*gelu_mul_f32)(float* gate, const float* up, std::int64_t width);
  void (*gelu_mul_bf16)(std::uint16_t* gate, const std::uint16_t* up, std::int64_t width);
  void (*gelu_tanh_mul_f32)(float* gate, const float* up, std::int64_t width);
  void (*gelu_tanh_mul_bf16)(std::uint16_t* gate, const std::uint16_t* up, std::int64_t width);
  const char* instruction_set;
};

/// The kernels for the CPU's best instruction set.
RowKernels row_kernels();

}  // namespace charm::kernels
