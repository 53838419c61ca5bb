#pragma once

#include <string>
#include <string_view>

namespace charm {

/// The bytes as base64 (RFC 4648) with padding, on one line.
std::string base64_of(std::string_view bytes);

}  // namespace charm
