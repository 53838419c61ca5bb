#pragma once

#include <cstddef>
#include <vector>

#include "charm/engine/cpu_block.h"
#include "charm/engine/decoder_weights.h"
#include "charm/engine/model_config.h"

namespace charm::engine {

/// RMSNorm of all of a model's norms.
NormConfig norm_config(const DecoderConfig& config);

/// Attention of a layer.
AttentionConfig attention_config(const DecoderConfig& config, std::size_t layer);

/// Index of a layer's RoPE frequencies.
std::size_t rope_index(const DecoderConfig& config, std::size_t layer);

/// The block with q, k, v, gate and up as views of the fused tensors where it has those.
BlockWeights split_fused(const DecoderConfig& config, BlockWeights weights);

/// The layers of block `layer`, its weights packed in `dtype`; pages of mapped weights are released
/// as they are packed.
BlockParts make_block_parts(const DecoderConfig& config, std::size_t layer,
                            const BlockWeights& weights, DType dtype);

}  // namespace charm::engine
