#pragma once

#include <cstddef>
#include <string_view>

namespace charm::storage {

/// Bytes of a file that `refuse_foreign_format` looks at: up to the mark of a tar archive.
inline constexpr std::size_t kFormatHeadBytes = 512;

/// Throws kInput for a file that begins like one of a format that is not read (an archive, another
/// table format, UTF-16), naming it and what to do.
void refuse_foreign_format(std::string_view head, std::string_view file);

}  // namespace charm::storage
