#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "charm/engine/decoder.h"
#include "charm/engine/reward_model.h"

namespace charm::engine {

using Provenance = std::vector<std::pair<std::string, std::string>>;

/// A decoder on the CPU.
struct LoadedDecoder {
  Decoder decoder;
  Provenance provenance;
};

/// What manifests say of a loaded model, whatever runs it: architecture, dtype, device, adapter,
/// head. Logs what is unusual about the files.
Provenance model_provenance(const ModelSource& source, const DecoderConfig& config, bool bfloat16,
                            std::string_view device);

/// Loads the weights for the CPU in the requested dtype. Also sets the number of threads.
/// @param lm_head  also load the causal LM's LM head
LoadedDecoder load_decoder(const ModelSource& source, const DecoderConfig& config,
                           const RewardModelOptions& options, bool lm_head);

}  // namespace charm::engine
