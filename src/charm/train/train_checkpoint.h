#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "charm/engine/trainable_model.h"

namespace charm::train {

/// Training state beside weights and optimiser state.
struct TrainProgress {
  std::string run;        ///< JSON of its manifest: a checkpoint is valid for that run only
  std::int64_t step = 0;  ///< optimiser steps done
  std::int64_t metrics_bytes = 0;  ///< length of metrics.jsonl at the checkpoint
};

/// Writes master weights, AdamW's moments and the progress to one safetensors file, which
/// atomically replaces the previous one.
void write_checkpoint(const std::filesystem::path& path, engine::TrainableModel& model,
                      const TrainProgress& progress);

/// Progress of the checkpoint at `path`; empty when there is none.
std::optional<TrainProgress> read_checkpoint_progress(const std::filesystem::path& path);

/// Restores master weights, optimiser state and step. Throws kInput when the file does not match
/// the model.
void restore_checkpoint(const std::filesystem::path& path, engine::TrainableModel& model);

}  // namespace charm::train
