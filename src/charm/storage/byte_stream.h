#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace charm::storage {

/// Buffered bytes of a file, decompressed if it is gzip (also of several members). Not thread-safe.
class ByteStream {
 public:
  explicit ByteStream(const std::filesystem::path& path);
  ~ByteStream();
  ByteStream(const ByteStream&) = delete;
  ByteStream& operator=(const ByteStream&) = delete;

  /// The next byte without consuming it; empty at the end. A leading byte order mark is skipped.
  std::optional<char> peek();
  std::optional<char> get();
  /// Replaces `line` by the text up to the next newline, without it; false at the end.
  bool get_line(std::string& line);
  /// All that is left.
  std::string rest();

 private:
  bool fill();

  std::filesystem::path path_;
  void* file_ = nullptr;  // gzFile
  std::string buffer_;
  std::size_t position_ = 0;
  bool at_start_ = true;
  bool at_end_ = false;
};

/// The bytes as one gzip member, without name and time: equal bytes give equal files.
/// @param effort  1 (fast) to 9 (small), as zlib counts
std::string gzip_bytes(std::string_view bytes, int effort);

}  // namespace charm::storage
