#pragma once

#include <string>
#include <utility>
#include <vector>

#include "charm/engine/model_source.h"
#include "charm/engine/reward_model.h"
#include "charm/torch/decoder.h"

namespace charm::torch {

/// The device of a choice: the CPU for kCpu, as tests use it, otherwise the GPU, for which TF32 is
/// disabled from now on.
at::Device device_of(engine::DeviceChoice choice);

/// A loaded decoder on its device.
struct LoadedDecoder {
  Decoder decoder;
  std::vector<std::pair<std::string, std::string>> provenance;
};

/// Uploads the weights tensor by tensor from the mapped files, converted on the way, and fuses
/// them.
/// @param lm_head  also load the causal LM's LM head
LoadedDecoder load_on_device(const engine::ModelSource& source, const engine::DecoderConfig& config,
                             const engine::RewardModelOptions& options, bool lm_head);

}  // namespace charm::torch
