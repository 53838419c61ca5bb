#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "charm/engine/model_config.h"
#include "charm/engine/trainable_model.h"
#include "charm/train/pair_batch.h"

namespace charm::train::testing_support {

/// Two or more layers, d 32, 4 heads, 2 key heads, 48 tokens of which 0 pads.
engine::DecoderConfig tiny_config(std::int64_t num_layers = 2);

/// A model with seeded random weights.
std::unique_ptr<engine::TrainableModel> tiny_model(const engine::TrainableOptions& options = {},
                                                   std::int64_t num_layers = 2,
                                                   std::uint64_t seed = 1);

/// Pairs that can be learned: the chosen side holds token 5, the rejected side token 6, among
/// random others.
std::vector<EncodedPair> tiny_pairs(std::size_t count, std::uint64_t seed = 3);

}  // namespace charm::train::testing_support
