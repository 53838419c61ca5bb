#pragma once

#include <ATen/core/ScalarType.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "charm/engine/decoder.h"
#include "charm/engine/reward_model.h"

namespace charm::engine {

/// A loaded decoder on its device.
struct LoadedDecoder {
  Decoder decoder;
  std::vector<std::pair<std::string, std::string>>
      provenance;  ///< architecture, head, adapter, dtype, device, backend
};

/// Resolves --device: true for a GPU, for which TF32 is disabled from now on. Throws kResource when
/// cuda is requested and unavailable.
bool use_cuda(DeviceChoice choice);

/// Loads the weights in the requested dtype and builds the decoder: inference mode on a CPU, GPU
/// mode on a GPU. Also sets the number of threads.
/// @param lm_head  also load the causal LM's LM head
LoadedDecoder load_decoder(const ModelSource& source, const DecoderConfig& config,
                           const RewardModelOptions& options, bool lm_head);

}  // namespace charm::engine
