#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>

namespace charm::engine {

/// The byte range of one entry, counted from the start of the archive.
struct ZipEntry {
  std::size_t begin = 0;
  std::size_t end = 0;
};

/// The entries of a zip archive by name (PKWARE's APPNOTE 6.3, zip64 included), stored ones only.
/// Throws kInput naming `file` for a truncated archive, an entry outside of it, a compressed or
/// encrypted entry, a name that occurs twice.
std::map<std::string, ZipEntry> read_zip_directory(std::string_view archive,
                                                   const std::string& file);

}  // namespace charm::engine
