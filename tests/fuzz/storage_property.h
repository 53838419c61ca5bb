#pragma once

#include <filesystem>
#include <string_view>

namespace charm::fuzz {

/// Writes `bytes` to `file` and reads them as every kind of record. Returns whether some reader
/// took them; throws only what is no input error, which is a bug.
bool read_as_everything(const std::filesystem::path& file, std::string_view bytes);

}  // namespace charm::fuzz
