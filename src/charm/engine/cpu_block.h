#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "charm/engine/block_workspace.h"
#include "charm/engine/decoder_weights.h"
#include "charm/engine/delta_net.h"
#include "charm/engine/layout.h"
#include "charm/engine/model_config.h"
#include "charm/engine/ops.h"

namespace charm::engine {

// T packed tokens, S responses, D model width, H query heads, K key/value heads, E head width, V
// vocabulary, N layers, P values of a layer's per-layer embedding.

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

/// Weights and hyperparameters of a block. Families differ in these values, not in code.
struct BlockParts {
  std::size_t layer = 0;  ///< layer index, also in the KV cache
  std::int64_t num_heads = 0;
  std::int64_t num_kv_heads = 0;
  std::int64_t head_dim = 0;
  NormConfig norm;
  AttentionConfig attention;
  std::size_t rope = 0;             ///< index of the layout's RoPE table for q and k
  Tensor input_norm_D, mlp_norm_D;  ///< before attention, before the MLP
  Tensor attention_out_norm_D,
      mlp_out_norm_D;         ///< after them, before the residual add; undefined: none
  Tensor q_norm_E, k_norm_E;  ///< QK-norm before RoPE, per head or, [H*E] and [K*E], over all
                              ///< heads; undefined: none
  Tensor v_norm_E;            ///< as q_norm_E, of the values; no RoPE
  Linear q, k, v, o, down;    ///< v undefined: the values are k's output, before its norm and RoPE
  /// Where K and V are kept: of their own until the next block, or for blocks that use them too.
  BlockWorkspace::Slot keys = BlockWorkspace::kKeys;
  BlockWorkspace::Slot values = BlockWorkspace::kValues;
  bool shares_kv = false;  ///< uses what another block keeps there: k and v are undefined
  Linear output_gate;      ///< sigmoid of it multiplies attention's output; undefined: none
  std::optional<DeltaNet> delta_net;       ///< instead of attention: of it, `o` alone is there
  GatedLinear gated;                       ///< gate, up and the activation
  std::optional<PerLayerInput> per_layer;  ///< added after the MLP
  float output_scale = 1.0F;               ///< of the block's output
  std::optional<Experts> experts;          ///< instead of `gated` and `down`
};

/// The layers of block `layer`, its weights packed in `dtype`; pages of mapped weights are released
/// as they are packed.
BlockParts make_block_parts(const DecoderConfig& config, std::size_t layer,
                            const BlockWeights& weights, DType dtype);

/// norm, attention, (norm,) add, norm, MLP, (norm,) add, on packed weights. Computes K and V of all
/// tokens first, then everything else in tiles of a few hundred rows, so that beside x, K and V no
/// memory grows with the batch; with a gated delta net, all of it tile by tile. A row's bits depend
/// on its own sequence alone. Immutable; thread-safe with one workspace, prefix and KV cache per
/// caller.
class CpuBlock {
 public:
  explicit CpuBlock(BlockParts parts) : parts_(std::move(parts)) {}

  /// @param x_TD    hidden states; overwritten with the result for BlockRows::kAll
  /// @param prefix  K and V (or state) of the layout's computed tokens, and of the prompt to cache
  /// @return        [T, D], or [S, D] with BlockRows::kLast
  Tensor forward(Tensor& x_TD, const BatchLayout& layout, BlockRows rows, BlockWorkspace& workspace,
                 CachedPrefix& prefix) const;

 private:
  BlockParts parts_;
};

}  // namespace charm::engine
