#pragma once

#include "charm/model/families/family.h"

namespace charm::model {

/// Mistral 7B and its relatives: Llama with one window for all layers. transformers 5.17,
/// models/mistral.
extern const Family kMistral;

}  // namespace charm::model
