#pragma once

#include "charm/model/families/family.h"

namespace charm::model {

/// Gemma-2: four norms a block that multiply with 1 + weight, soft-capped attention, every other
/// layer with a window. transformers 5.17, models/gemma2, eager attention (its default, sdpa,
/// ignores the soft cap).
extern const Family kGemma2;

}  // namespace charm::model
