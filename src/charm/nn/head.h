#pragma once

#include <ATen/core/Tensor.h>

#include <span>

#include "charm/nn/ops.h"

namespace charm::nn {

// S responses, D model width.

/// One linear layer of a reward head. Float32 in inference mode.
struct HeadLayer {
  at::Tensor weight_OI;
  at::Tensor bias_O;  ///< undefined: none
};

/// Final norm and head in float32 whatever x's dtype: [S, D] -> [S] float32. ReLU stands between the layers; the last one has a
/// single output. Gradients flow in autograd mode.
at::Tensor norm_and_head(const at::Tensor& x_SD, const at::Tensor& norm_weight_D, std::span<const HeadLayer> layers,
                         const NormRule& rule, Mode mode);

}  // namespace charm::nn
