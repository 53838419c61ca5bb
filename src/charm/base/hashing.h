#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace charm {

/// SHA-256 as 64 lower-case hex digits.
std::string sha256_hex(std::string_view bytes);

/// SHA-256 of a file's content, read in chunks. Throws kIo.
std::string sha256_file(const std::filesystem::path& path);

/// The hash git gives a file's content: SHA-1 over "blob <size>", a zero byte and the content, as
/// 40 hex digits. Throws kIo.
std::string git_blob_sha1(const std::filesystem::path& path);

}  // namespace charm
