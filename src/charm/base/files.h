#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

namespace charm {

namespace fs = std::filesystem;

/// The whole file as bytes. Throws kIo when it cannot be read.
std::string read_file(const fs::path& path);

/// Writes to a temporary file beside `path`, syncs, renames: a present file is a finished file.
/// Creates parent folders.
void write_file(const fs::path& path, std::string_view content);

/// Creates the folder and its parents; throws kIo naming the folder.
void create_folders(const fs::path& path);

/// `path` with a suffix that marks it as unfinished (".partial"); writers write there and call
/// `publish`.
fs::path partial_path(const fs::path& path);

/// Syncs `partial` and renames it to `path` (file or folder; an existing folder at `path` is
/// replaced).
void publish(const fs::path& partial, const fs::path& path);

/// Throws kIo unless a file can be created in the folder that will hold `path`. Call before long
/// work starts.
void require_writable(const fs::path& path);

/// A read-only memory map of a whole file. Thread-safe to read.
class MappedFile {
 public:
  explicit MappedFile(const fs::path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&&) = delete;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const std::byte* data() const { return data_; }
  std::size_t size() const { return size_; }

  /// Gives back the memory of these bytes where they lie in a file that is mapped now; reading them
  /// again fetches them from the file. Bytes of any other memory are left alone.
  static void let_go(const void* begin, std::size_t bytes);

 private:
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

/// Appends whole lines and flushes each to the operating system, so that a killed process loses at
/// most an unfinished line.
class LineAppender {
 public:
  explicit LineAppender(const fs::path& path);
  ~LineAppender();
  LineAppender(const LineAppender&) = delete;
  LineAppender& operator=(const LineAppender&) = delete;
  void append(std::string_view line);

 private:
  fs::path path_;
  int fd_ = -1;
};

}  // namespace charm
