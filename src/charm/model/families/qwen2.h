#pragma once

#include "charm/model/families/family.h"

namespace charm::model {

/// Qwen2 and Qwen2.5: Llama with biases on q, k and v, and windows in the upper layers.
/// transformers 5.17, models/qwen2.
extern const Family kQwen2;

}  // namespace charm::model
