#pragma once

#include <string>
#include <string_view>

namespace charm {

/// A to Z as a to z; every other byte as it is, whatever the locale.
std::string lower_ascii(std::string_view text);

}  // namespace charm
