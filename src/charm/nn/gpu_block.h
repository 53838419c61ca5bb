#pragma once

#include <ATen/core/Tensor.h>

#include "charm/nn/decoder_block.h"

namespace charm::nn {

/// A block in Mode::kGpu: about twenty-five operators for a whole batch, whatever the number of
/// sequences. Products are four; sums onto x are part of theirs. Norms and rope compute in float32
/// and round once. No gradients.
///
/// @param x_TD  becomes the result with BlockRows::kAll
at::Tensor gpu_block(const BlockParts& parts, at::Tensor& x_TD, const BatchLayout& layout,
                     BlockRows rows, BlockWorkspace& workspace);

}  // namespace charm::nn
