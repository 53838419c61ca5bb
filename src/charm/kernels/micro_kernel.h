#pragma once

#include <cstdint>
#include <span>

#include "charm/kernels/kernels.h"

// The GEMM micro-kernel: a few rows against packed columns, accumulated in registers. Shared by
// GEMM and attention. With it the packing of its columns and the epilogues of its tiles. Internal
// to this folder.
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

/// One step of up to two rows: to[c] = first[c], in bfloat16 first[c] | second[c] << 16. `second`
/// is null for float32 and for the last of an odd number of rows.
void pack_step(const float* first, const float* second, std::int64_t columns, std::uint32_t* to);
void pack_step(const BFloat16* first, const BFloat16* second, std::int64_t columns,
               std::uint32_t* to);

/// The rows of one step; `second` is null for float32 and where a bfloat16 row has no partner.
template <typename Element>
struct RowStep {
  const Element* first = nullptr;
  const Element* second = nullptr;
};

/// Fills panels `first_panel` .. `end_panel`, each at its place in `panels`.
template <typename Element>
void pack_row_panels(std::span<const RowStep<Element>> steps, std::int64_t columns,
                     std::int64_t first_panel, std::int64_t end_panel, std::uint32_t* panels);

template <typename Element>
struct EpilogueTile {
  const float* sums =
      nullptr;  ///< [kMicroRows][kMicroColumns]; gated: the gate's half, then the up half
  const float* bias = nullptr;  ///< [kMicroColumns], may be null
  std::int64_t rows = 0;
  std::int64_t columns = 0;  ///< of the output; at most kMicroColumns, half of that when gated
  Element* out = nullptr;
  std::int64_t row_stride = 0;
};

template <typename Element>
struct Epilogues {
  void (*store)(const EpilogueTile<Element>& tile);  ///< out = sums + bias
  void (*add)(const EpilogueTile<Element>& tile);    ///< out = out + (sums + bias)
  /// out = f(gate) * up, by GateFunction
  void (*gated[kNumGateFunctions])(const EpilogueTile<Element>& tile);
};

/// The epilogues for the CPU's best instruction set.
template <typename Element>
Epilogues<Element> epilogues();

namespace internal {
/// For AVX512-BF16; null where the CPU or the compiler's target lacks it.
MicroKernel native_bf16_micro_kernel(Operand a = Operand::kRows);
MicroKernel widened_bf16_micro_kernel(Operand a = Operand::kRows);
}  // namespace internal

}  // namespace charm::kernels
