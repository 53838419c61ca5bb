#pragma once

#include <string>
#include <string_view>

namespace charm::storage {

/// The bytes as one gzip member, without a time stamp: equal bytes give equal files.
std::string gzip_bytes(std::string_view bytes);

}  // namespace charm::storage
