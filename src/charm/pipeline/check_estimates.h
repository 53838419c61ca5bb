#pragma once

#include <cstdint>

#include "charm/engine/model_config.h"
#include "charm/pipeline/check.h"

// Memory, disk and time of a run, estimated from its sizes.
namespace charm::pipeline {

/// Floating-point operations per second of a matrix product like the model's, measured for a
/// fraction of a second.
double measure_flops(const engine::DecoderConfig& config, bool bfloat16, int threads);

TimeEstimate estimate_time(const Recipe& recipe, const RunSize& size,
                           const engine::DecoderConfig& config, double flops);

/// Of the step that needs most, against the memory of this machine (or of its control group).
Resource estimate_memory(const Recipe& recipe, const engine::DecoderConfig& config, bool bfloat16);

/// Of what is not in the run directory yet, against the free space of its file system.
Resource estimate_disk(const Recipe& recipe, const RunSize& size,
                       const engine::DecoderConfig& config);

}  // namespace charm::pipeline
