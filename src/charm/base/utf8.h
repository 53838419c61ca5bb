#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace charm {

/// Offset of the first byte that is not valid UTF-8 (overlong forms, surrogates and values above
/// U+10FFFF are invalid too); empty when the whole text is valid.
std::optional<std::size_t> find_invalid_utf8(std::string_view text);

}  // namespace charm
