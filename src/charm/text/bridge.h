#pragma once

#include <charm_text.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

// Internal to this folder: converts the bridge's statuses to charm::Error and its owned results to
// C++ values.
namespace charm::text::bridge {

/// Throws kInternal unless the linked bridge has the header's ABI version.
void require_abi();

/// Throws unless `status` is CHARM_TEXT_OK. `what` names the object ("x/tokenizer.json"). A panic
/// is kInternal, the rest kInput.
void check(charm_text_status status, std::string_view what);

/// Copies and frees a result of the bridge.
std::string take(charm_text_string text);
std::vector<std::int32_t> take(charm_text_ids ids);

}  // namespace charm::text::bridge
