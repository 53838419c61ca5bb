#pragma once

#include <cstdint>
#include <span>

#include "charm/engine/block_workspace.h"
#include "charm/engine/decoder_weights.h"
#include "charm/engine/model_config.h"
#include "charm/engine/ops.h"

namespace charm::engine {

// T rows, D model width, V vocabulary, N layers, P values of a layer.

/// A layer's part of the per-layer embeddings (Gemma-4). Its input is computed from the token's id
/// alone, anew in each layer, so that nothing of all layers is kept. Immutable; safe for concurrent
/// use. Source: transformers 5.17, modeling_gemma4.py, get_per_layer_inputs,
/// project_per_layer_inputs and Gemma4TextDecoderLayer.
struct PerLayerInput {
  Tensor embed_VD;  ///< the model's embedding
  float embedding_scale = 1.0F;
  Tensor table_VNP;  ///< [V * N, P]: row v * N + n is layer n's of token v
  float table_scale = 1.0F;
  std::int64_t layer = 0, num_layers = 0;
  Linear projection;  ///< [P, D], of the embedding
  float projection_scale = 1.0F;
  Tensor norm_P;  ///< of the projection
  NormConfig norm;
  Linear gate, out;  ///< [P, D], [D, P]
  Tensor out_norm_D;
};

/// `embedding_scale` of a model in `dtype`, rounded as transformers does: sqrt(3072) = 55.4 is 55.5
/// in bfloat16.
float rounded_scale(double scale, DType dtype);

/// Layer `layer`'s part; `weights` keeps its block's tensors until then.
PerLayerInput make_per_layer_input(const DecoderConfig& config, std::size_t layer,
                                   const DecoderWeights& weights, DType dtype);

/// x += norm(out(gelu(gate(x)) * input)), with the input of the tokens `ids_T`:
/// (norm(projection(embedding)) + table row) / sqrt(2).
void add_per_layer_input(const PerLayerInput& own, std::span<const std::int64_t> ids_T,
                         BlockWorkspace& workspace, Tensor& x_TD);

}  // namespace charm::engine
