#pragma once

#include <string_view>

#include "charm/engine/model_config.h"
#include "charm/storage/manifest.h"
#include "charm/train/train_stage.h"

namespace charm::train {

/// Throws kUsage naming the option when a value is out of range.
void check_options(const TrainOptions& options);

/// Throws kUsage or kInput for options that do not suit the model: a head that is missing, that
/// --new-head would replace or that cannot be trained, and more layers than it has.
void check_model(const TrainOptions& options, const engine::DecoderConfig& config,
                 const engine::ModelSource& source);

/// Manifest of the options that affect the result and the inputs with their hashes. `dtype` and
/// `device` are the resolved ones.
storage::Manifest make_manifest(const TrainOptions& options, std::string_view dtype,
                                std::string_view device);

}  // namespace charm::train
