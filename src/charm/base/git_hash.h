#pragma once

#include <filesystem>
#include <string>

namespace charm {

/// The name git gives a file's content: SHA-1 over "blob <size>", a zero byte and the content, as
/// 40 hex digits. Throws kIo.
std::string git_blob_sha1(const std::filesystem::path& path);

}  // namespace charm
