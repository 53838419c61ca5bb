#pragma once

#include <ATen/core/Tensor.h>

#include "charm/nn/decoder_block.h"

namespace charm::nn {

/// A block in inference mode, on our kernels. Keys and values of all tokens come first; then
/// everything else, some hundred rows at a time, so that beside x, the keys and the values no
/// memory grows with the batch. A row's bits depend on its own sequence alone.
///
/// @param x_TD  becomes the result with BlockRows::kAll
at::Tensor infer_block(const BlockParts& parts, at::Tensor& x_TD, const BatchLayout& layout,
                       BlockRows rows, BlockWorkspace& workspace);

}  // namespace charm::nn
