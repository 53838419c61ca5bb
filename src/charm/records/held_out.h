#pragma once

#include <cstdint>

#include "charm/records/conversation.h"

namespace charm {

/// Whether a prompt is kept from calibration and training: a hash of its text and the seed falls
/// into the share. Equal prompts fall on the same side whatever their ids, and a larger share holds
/// what a smaller one does.
bool is_held_out(const Conversation& prompt, std::uint64_t seed, double share);

}  // namespace charm
