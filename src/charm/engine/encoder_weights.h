#pragma once

#include <vector>

#include "charm/engine/tensor.h"

namespace charm::engine {

struct DecoderConfig;
struct WeightSlot;

// D model width, W embedding width, F mlp width, V vocabulary, P positions, Y token types, R rows
// of the table of relative positions, K taps of a convolution, I inputs and O outputs of a layer.

struct LayerNormWeights {
  Tensor weight_D, bias_D;
};

struct LinearWeights {
  Tensor weight_OI, bias_O;
};

/// The tensors of one block of a bidirectional encoder. Undefined tensors are absent.
struct EncoderBlockWeights {
  LinearWeights query, key, value;
  LinearWeights position_key, position_query;  ///< of the table of relative positions
  LinearWeights attention_out, mlp_in, mlp_out;
  LayerNormWeights attention_norm, mlp_norm;
};

/// All tensors of a bidirectional encoder but its head's, as a Hugging Face folder stores them.
struct EncoderWeights {
  Tensor words_VW, positions_PW, token_types_YW;
  Tensor projection_DW;  ///< of embeddings of another width
  LayerNormWeights embedding_norm;
  Tensor relative_RD;
  LayerNormWeights relative_norm;
  Tensor convolution_DDK, convolution_bias_D;
  LayerNormWeights convolution_norm;
  std::vector<EncoderBlockWeights> blocks;
};

/// Every tensor that the config implies, as `weight_slots`. Sizes `weights.blocks` to the config.
std::vector<WeightSlot> encoder_slots(EncoderWeights& weights, const DecoderConfig& config);

}  // namespace charm::engine
