#pragma once

#include "charm/model/families/family.h"

namespace charm::model {

/// Llama 1 to 3.2 and what shares their architecture (SmolLM2, TinyLlama, ...). transformers 5.17,
/// models/llama.
extern const Family kLlama;

}  // namespace charm::model
