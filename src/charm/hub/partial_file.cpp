#include "charm/hub/partial_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "charm/base/error.h"
#include "charm/base/files.h"

namespace charm::hub {

PartialFile::PartialFile(const fs::path& path) : path_(path) {
  create_folders(path.parent_path());
  fd_ = open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd_ < 0)
    throw Error(ErrorKind::kIo, "{}: cannot be opened: {}", path_.string(), std::strerror(errno));
  while (flock(fd_, LOCK_EX) != 0 && errno == EINTR) {
  }
  struct stat facts{};
  if (fstat(fd_, &facts) != 0) {
    close(fd_);
    throw Error(ErrorKind::kIo, "{}: cannot be read: {}", path_.string(), std::strerror(errno));
  }
  size_ = facts.st_size;
}

PartialFile::~PartialFile() { close(fd_); }

void PartialFile::append(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0)
      throw Error(ErrorKind::kIo, "{}: cannot be written: {}", path_.string(),
                  std::strerror(errno));
    size_ += written;
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
}

void PartialFile::clear() {
  if (ftruncate(fd_, 0) != 0)
    throw Error(ErrorKind::kIo, "{}: cannot be emptied: {}", path_.string(), std::strerror(errno));
  size_ = 0;
}

}  // namespace charm::hub
