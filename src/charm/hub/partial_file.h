#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>

namespace charm::hub {

/// A download that is not finished: what an earlier attempt left stays, more is appended. Locked
/// against other processes while open. Not thread-safe.
class PartialFile {
 public:
  /// Waits while another process has it. Throws kIo.
  explicit PartialFile(const std::filesystem::path& path);
  ~PartialFile();
  PartialFile(const PartialFile&) = delete;
  PartialFile& operator=(const PartialFile&) = delete;

  std::int64_t size() const { return size_; }
  void append(std::string_view bytes);
  void clear();

 private:
  std::filesystem::path path_;
  int fd_ = -1;
  std::int64_t size_ = 0;
};

}  // namespace charm::hub
