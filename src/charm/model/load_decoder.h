#pragma once

#include <ATen/core/ScalarType.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "charm/model/decoder.h"
#include "charm/model/reward_model.h"

namespace charm::model {

/// A model folder's decoder on its device, ready to run.
struct LoadedDecoder {
  Decoder decoder;
  std::vector<std::pair<std::string, std::string>>
      provenance;  ///< architecture, dtype, device, backend
};

/// Whether --device means a GPU here; if so, float32 products are exact from now on (no TF32).
/// Throws kResource where one is asked for and there is none.
bool use_cuda(DeviceChoice choice);

/// Reads the weights in the element type asked for and builds the decoder: kernels on packed
/// weights on a CPU, ATen's operators on a GPU. Also sets the number of threads.
/// @param lm_head  read the causal LM's output layer too
LoadedDecoder load_decoder(const std::filesystem::path& model_dir, const DecoderConfig& config,
                           const RewardModelOptions& options, bool lm_head);

}  // namespace charm::model
