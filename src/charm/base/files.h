#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "charm/base/fs.h"

namespace charm {

/// The whole file as bytes. Throws kIo when it cannot be read.
std::string read_file(const fs::path& path);

/// Writes a temporary file next to `path`, syncs, renames: a present file is a complete file.
/// Creates parent folders.
void write_file(const fs::path& path, std::string_view content);

/// Creates the folder and its parents; throws kIo naming the folder.
void create_folders(const fs::path& path);

/// `path` + ".partial": writers write there and call `publish`.
fs::path partial_path(const fs::path& path);

/// Syncs `partial` and renames it to `path` (file or folder; an existing folder at `path` is
/// replaced).
void publish(const fs::path& partial, const fs::path& path);

// Checks of inputs and outputs, called before long work starts.

/// Throws kIo unless a file can be created in the folder that will hold `path`.
void require_writable(const fs::path& path);

/// The same for an output that is a folder.
void require_writable_folder(const fs::path& path);

/// Throws kIo for pipes and devices: inputs are read again for their hashes.
void require_regular_file(const fs::path& path);

/// Throws kUsage if `output` and `input` are the same file or folder, also through links: writing
/// would overwrite the input.
void require_distinct(const fs::path& output, const fs::path& input);
void require_distinct(const fs::path& output, const std::vector<fs::path>& inputs);

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

  /// Releases the pages of these bytes (madvise) if they belong to a mapped file; reading them
  /// again loads them from the file. No effect on other memory.
  static void release_pages(const void* begin, std::size_t bytes);

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

/// Throws kInput if a file that begins with `head` is a pointer of Git LFS instead of the data.
void refuse_lfs_pointer(std::string_view head, std::string_view file);

}  // namespace charm
