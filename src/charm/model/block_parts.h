#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <vector>

#include "charm/model/decoder_weights.h"
#include "charm/model/model_config.h"
#include "charm/nn/decoder_block.h"

namespace charm::model {

/// RMSNorm of all of a model's norms.
nn::NormConfig norm_config(const DecoderConfig& config);

/// The layers of block `layer` from its tensors: packed in inference mode, fused in GPU mode, and
/// sharing the tensors, through which gradients flow, in autograd mode.
/// @param backend  of inference mode
nn::BlockParts make_block_parts(const DecoderConfig& config, std::size_t layer,
                                const BlockWeights& weights, nn::Mode mode,
                                nn::GemmBackend backend);

/// The weights of the block's GEMMs, as inference mode packs them: fused ones in their parts.
std::vector<at::Tensor> gemm_weights(const DecoderConfig& config, const BlockWeights& weights);

}  // namespace charm::model
