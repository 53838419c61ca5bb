#pragma once

#include "charm/model/families/family.h"

namespace charm::model {

/// Gemma-3 text models: Gemma-2 without soft cap, with norms on the heads of q and k and a rope of
/// their own for layers with a window. transformers 5.17, models/gemma3.
extern const Family kGemma3;

}  // namespace charm::model
