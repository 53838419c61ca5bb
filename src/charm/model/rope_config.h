#pragma once

#include "charm/model/model_config.h"

namespace charm::model {

class ConfigReader;

/// Reads the rope settings in both spellings: `rope_theta` with `rope_scaling` (transformers 4) and
/// `rope_parameters` (transformers 5). Throws kInput for kinds of rope other than default, linear
/// and llama3, naming the kind.
RopeConfig read_rope(const ConfigReader& reader);

}  // namespace charm::model
