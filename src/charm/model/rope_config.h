#pragma once

#include <string_view>

#include "charm/model/model_config.h"

namespace charm::model {

class ConfigReader;

/// Reads the rope settings in both spellings: `rope_theta` with `rope_scaling` (transformers 4) and
/// `rope_parameters` (transformers 5). Throws kInput for kinds of rope other than default, linear,
/// dynamic, yarn, longrope and llama3, naming the kind, and for settings it does not know.
RopeConfig read_rope(const ConfigReader& reader);

/// Where a model with one rope per kind of layer keeps one of them.
struct LayerRopeKeys {
  std::string_view layers;     ///< its object in `rope_parameters` (transformers 5)
  std::string_view theta_key;  ///< its theta in transformers 4
  double default_theta = 0.0;
  bool scaled = false;  ///< transformers 4's `rope_scaling` is this one's
};
RopeConfig read_layer_rope(const ConfigReader& reader, const LayerRopeKeys& keys);

}  // namespace charm::model
