#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "charm/train/optimizer.h"
#include "charm/train/trainable_model.h"

namespace charm::train {

/// What a run continues from, beside weights and optimiser state.
struct TrainProgress {
  std::string fingerprint;         ///< of options and inputs: a checkpoint serves no other run
  std::int64_t step = 0;           ///< optimiser steps done
  std::int64_t metrics_bytes = 0;  ///< length of metrics.jsonl at that moment
};

/// Writes masters, AdamW's running means and the progress into one safetensors file, which replaces
/// the earlier one at once.
void write_checkpoint(const std::filesystem::path& path, TrainableModel& model,
                      const AdamW& optimizer, const TrainProgress& progress);

/// Progress of the checkpoint at `path`; empty when there is none.
std::optional<TrainProgress> read_checkpoint_progress(const std::filesystem::path& path);

/// Restores masters, optimiser state and step. Throws kInput when the file does not match the
/// model.
void restore_checkpoint(const std::filesystem::path& path, TrainableModel& model, AdamW& optimizer);

}  // namespace charm::train
