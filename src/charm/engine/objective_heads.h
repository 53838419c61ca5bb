#pragma once

#include <vector>

#include "charm/engine/gated_head.h"
#include "charm/engine/heads.h"

namespace charm::engine {

// Heads that mix the rewards of several objectives: entries of the table in heads.cpp.

void read_gated_head(const ConfigReader& reader, const HeadEvidence& evidence,
                     DecoderConfig& config);
void read_quantile_head(const ConfigReader& reader, const HeadEvidence& evidence,
                        DecoderConfig& config);
void read_variance_head(const ConfigReader& reader, const HeadEvidence& evidence,
                        DecoderConfig& config);
void read_distribution_head(const ConfigReader& reader, const HeadEvidence& evidence,
                            DecoderConfig& config);

/// The tensors of all of them.
std::vector<HeadLayerShape> objective_layers(const DecoderConfig& config);

/// Whether the head mixes objectives.
bool mixes_objectives(HeadKind kind);

/// The head from its tensors, in the order of `objective_layers`.
GatedHead make_gated_head(const DecoderConfig& config, const std::vector<HeadLayer>& layers);

}  // namespace charm::engine
