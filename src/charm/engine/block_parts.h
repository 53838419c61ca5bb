#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <vector>

#include "charm/engine/decoder_block.h"
#include "charm/engine/decoder_weights.h"
#include "charm/engine/model_config.h"

namespace charm::engine {

/// RMSNorm of all of a model's norms.
NormConfig norm_config(const DecoderConfig& config);

/// The layers of block `layer` from its tensors: packed in inference mode, fused in GPU mode, and
/// sharing the tensors, through which gradients flow, in autograd mode.
/// @param backend  of inference mode
BlockParts make_block_parts(const DecoderConfig& config, std::size_t layer,
                            const BlockWeights& weights, Mode mode, GemmBackend backend);

/// The weights of the block's GEMMs, as inference mode packs them: fused ones in their parts.
std::vector<at::Tensor> gemm_weights(const DecoderConfig& config, const BlockWeights& weights);

}  // namespace charm::engine
