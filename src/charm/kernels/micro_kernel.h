#pragma once

#include <cstdint>

// The GEMM micro-kernel: a few rows against packed columns, accumulated in registers. Shared by
// GEMM and attention.
namespace charm::kernels {

inline constexpr std::int64_t kMicroRows = 6;      ///< MR: rows per register tile
inline constexpr std::int64_t kMicroColumns = 64;  ///< NR: the column count is a multiple of this

/// c[r, n] = beta[r] c[r, n] + sum_k a[r, k] b[k, n]; a null `beta` means 0. A step of k is one
/// float32 or a pair of bfloat16. The column count is a multiple of kMicroColumns. Steps are
/// accumulated in order, so an element's bits depend on its row of a and column of b alone.
using MicroKernel = void (*)(const std::uint32_t* a, std::int64_t a_stride, const std::uint32_t* b,
                             std::int64_t b_stride, std::int64_t steps, float* c,
                             std::int64_t c_stride, std::int64_t rows, std::int64_t columns,
                             const float* beta);

/// How a is stored.
enum class Operand {
  kRows,   ///< a[r * a_stride + k]: steps of a row are contiguous
  kSteps,  ///< a[k * a_stride + r]: rows of a step are contiguous (products of transposed matrices)
};

/// float32 steps.
MicroKernel micro_kernel_f32(Operand a = Operand::kRows);

/// bfloat16 pairs: VDPBF16PS where the CPU has it, elsewhere widened to float32 in registers.
MicroKernel micro_kernel_bf16(Operand a = Operand::kRows);

namespace internal {
/// For AVX512-BF16; null where the CPU or the compiler's target lacks it.
MicroKernel native_bf16_micro_kernel(Operand a = Operand::kRows);
MicroKernel widened_bf16_micro_kernel(Operand a = Operand::kRows);
}  // namespace internal

}  // namespace charm::kernels
