#pragma once

#include <charm_text.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

// Private to this folder: turns the bridge's statuses and owned results into charm::Error and C++
// values.
namespace charm::text::bridge {

/// Throws kInternal unless the linked bridge speaks the header's version of the interface.
void require_abi();

/// Throws unless `status` is CHARM_TEXT_OK. `what` names the object ("x/tokenizer.json"). A panic
/// is kInternal, the rest kInput.
void check(charm_text_status status, std::string_view what);

/// Copies and frees what the bridge returned.
std::string take(charm_text_string text);
std::vector<std::int32_t> take(charm_text_ids ids);

}  // namespace charm::text::bridge
