#pragma once

#include <cstdint>
#include <vector>

#include "charm/engine/decoder_weights.h"
#include "charm/engine/model_config.h"
#include "charm/kernels/gemm.h"

namespace charm::engine {

// D model width, H query heads, K key/value heads, E head width, F MLP width.

/// A gated MLP, packed for the forward pass and for input gradients.
struct TrainingMlp {
  kernels::PackedWeight gate, up, down;
  kernels::PackedWeight gate_up_t;  ///< [dgate, dup] -> dx
  kernels::PackedWeight down_t;
};

/// A block's linear layers, packed once per optimiser step from the float32 masters.
struct TrainingLayers {
  kernels::PackedWeight q, k, v, o;
  kernels::PackedWeight qkv_t;  ///< [dq, dk, dv] -> dx
  kernels::PackedWeight o_t;
  TrainingMlp mlp;                         ///< or the experts
  kernels::PackedWeight router, router_t;  ///< float32
  std::vector<TrainingMlp> experts;
};

/// @param weights   with split projections
/// @param backward  also packs for input gradients; a frozen block needs none
template <typename Element>
TrainingLayers pack_training_layers(const BlockWeights& weights, bool backward);

}  // namespace charm::engine
