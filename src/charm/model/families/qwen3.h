#pragma once

#include "charm/model/families/family.h"

namespace charm::model {

/// Qwen3: Llama with norms on the heads of q and k, and windows as in Qwen2. transformers 5.17,
/// models/qwen3.
extern const Family kQwen3;

}  // namespace charm::model
