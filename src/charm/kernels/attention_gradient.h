#pragma once

#include <cstdint>

#include "charm/kernels/kernels.h"
#include "charm/kernels/online_softmax.h"

// The element-wise part of attention's backward pass on one tile: query rows of one head against a
// block of kBlockKeys keys. Internal to this folder.
namespace charm::kernels {

inline constexpr std::int64_t kGradientRows = 60;  ///< query rows of a tile

struct GradientTile {
  // In, [rows][kBlockKeys] each.
  const float* products = nullptr;          ///< q.k, unscaled
  const float* weight_gradients = nullptr;  ///< dP = dO.v
  const float* log_sum_exp = nullptr;       ///< [rows], base 2
  const float* row_dots = nullptr;          ///< [rows], dO.O
  // Out, for the micro-kernel. float32: [rows][kBlockKeys]. bfloat16: pairs of rows,
  // [rows / 2, rounded up][kBlockKeys].
  std::uint32_t* weights = nullptr;              ///< P
  std::uint32_t* logit_gradients = nullptr;      ///< dS times the scale of q.k
  std::uint16_t* logit_gradient_rows = nullptr;  ///< bfloat16 only: the same as [rows][kBlockKeys]
};

struct GradientParams {
  std::int64_t first_row = 0;  ///< even; rows before it attend to no key of the block
  std::int64_t end_row = 0;
  std::int64_t first_position = 0;  ///< of row 0 in its sequence
  std::int64_t first_key = 0;       ///< position of the block's first key
  std::int64_t length = 0;          ///< keys of the block
  float scale = 1.0f;
  std::int64_t window = 0;
  float softcap = 0.0f;
};

/// P = exp(s - log_sum_exp) and dS = P (dP - row_dots) ds/d(q.k), 0 where masked. Dispatched by
/// instruction set.
struct GradientKernels {
  void (*float32)(const GradientTile& tile, const GradientParams& params);
  void (*bfloat16)(const GradientTile& tile, const GradientParams& params);
  /// sum_e a[e] b[e].
  float (*dot_float32)(const float* a, const float* b, std::int64_t count);
  float (*dot_bfloat16)(const std::uint16_t* a, const std::uint16_t* b, std::int64_t count);
};

GradientKernels gradient_kernels();

}  // namespace charm::kernels
