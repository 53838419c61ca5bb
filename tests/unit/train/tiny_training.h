#pragma once

#include <cstdint>
#include <vector>

#include "charm/engine/decoder_weights.h"
#include "charm/engine/model_config.h"
#include "charm/train/pair_batch.h"
#include "charm/train/trainable_model.h"

namespace charm::train::testing_support {

/// Two or more layers, d 32, 4 heads, 2 key heads, 48 tokens of which 0 pads.
engine::DecoderConfig tiny_config(std::int64_t num_layers = 2);

/// A model with seeded random weights.
TrainableModel tiny_model(const TrainableOptions& options = {}, std::int64_t num_layers = 2,
                          std::uint64_t seed = 1);

/// Pairs that can be learned: the chosen side holds token 5, the rejected side token 6, among
/// random others.
std::vector<EncodedPair> tiny_pairs(std::size_t count, std::uint64_t seed = 3);

}  // namespace charm::train::testing_support
