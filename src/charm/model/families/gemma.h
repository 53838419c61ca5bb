#pragma once

#include "charm/model/families/family.h"

namespace charm::model {

/// Gemma (the first): as Llama with a scaled embedding, norms with 1 + weight, gelu and a head
/// width of its own.
extern const Family kGemma;

}  // namespace charm::model
