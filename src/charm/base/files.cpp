#include "charm/base/files.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <mutex>
#include <utility>

#include "charm/base/companions.h"
#include "charm/base/error.h"

namespace charm {
namespace {

[[noreturn]] void throw_io(const fs::path& path, std::string_view what) {
  const int code = errno;
  const ErrorKind kind = code == ENOMEM ? ErrorKind::kResource : ErrorKind::kIo;
  throw Error(kind, "{}: {}: {}", path.string(), what, std::strerror(code));
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

/// Renaming onto /dev/null would replace it by a file.
void require_no_special_file(const fs::path& path) {
  std::error_code code;
  const fs::file_status status = fs::status(path, code);
  if (fs::exists(status) && !fs::is_regular_file(status) && !fs::is_directory(status)) {
    throw Error(ErrorKind::kIo, "{}: is a device or a pipe; expected the name of a file to write",
                path.string());
  }
}

void require_writable_parent(const fs::path& path) {
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  create_folders(folder);
  const fs::path probe = folder / (path.filename().string() + ".probe");
  {
    const Descriptor file(::open(probe.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    if (file.get() < 0)
      throw_io(errno == ENAMETOOLONG ? path : folder, "cannot write into this folder");
  }
  ::unlink(probe.c_str());
}

void write_all(int fd, std::string_view content, const fs::path& path) {
  while (!content.empty()) {
    const ssize_t written = ::write(fd, content.data(), content.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      throw_io(path, "cannot write");
    }
    content.remove_prefix(static_cast<std::size_t>(written));
  }
}

}  // namespace

void require_regular_file(const fs::path& path) {
  std::error_code code;
  const fs::file_status status = fs::status(path, code);
  if (fs::is_regular_file(status) || fs::is_directory(status) || !fs::exists(status)) return;
  throw Error(
      ErrorKind::kIo,
      "{}: is a pipe or a device; inputs are read more than once, so write it to a file first",
      path.string());
}

std::string read_file(const fs::path& path) {
  require_regular_file(path);
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) throw_io(path, "cannot open");
  std::string content;
  char buffer[1 << 16];
  while (true) {
    const ssize_t got = ::read(file.get(), buffer, sizeof buffer);
    if (got < 0) {
      if (errno == EINTR) continue;
      throw_io(path, "cannot read");
    }
    if (got == 0) return content;
    content.append(buffer, static_cast<std::size_t>(got));
  }
}

void write_file(const fs::path& path, std::string_view content) {
  if (is_standard_output(path)) {
    write_all(STDOUT_FILENO, content, "standard output");
    return;
  }
  if (path.has_parent_path()) create_folders(path.parent_path());
  const fs::path partial = partial_path(path);
  try {
    const Descriptor file(::open(partial.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    if (file.get() < 0) throw_io(partial, "cannot create");
    write_all(file.get(), content, partial);
    publish(partial, path);
  } catch (...) {
    ::unlink(partial.c_str());
    throw;
  }
}

void create_folders(const fs::path& path) {
  std::error_code code;
  fs::create_directories(path, code);
  if (code)
    throw Error(ErrorKind::kIo, "{}: cannot create the folder: {}", path.string(), code.message());
}

fs::path partial_path(const fs::path& path) {
  const fs::path target = link_target(path);
  const fs::path partial = companion_path(target, ".partial");
  std::error_code code;
  // Without a companion folder beside it: the partial file alone is not worth one.
  return fs::is_directory(partial.parent_path(), code) ? partial : path_beside(target, ".partial");
}

void publish(const fs::path& partial, const fs::path& path) {
  {
    const Descriptor file(::open(partial.c_str(), O_RDONLY | O_CLOEXEC));
    if (file.get() < 0) throw_io(partial, "cannot open");
    if (::fsync(file.get()) != 0) throw_io(partial, "cannot write to disk");
  }
  const fs::path target = link_target(path);
  require_no_special_file(target);
  std::error_code code;
  if (fs::is_directory(partial, code)) fs::remove_all(target, code);
  fs::rename(partial, target, code);
  if (code) {
    throw Error(ErrorKind::kIo, "{}: cannot rename to {}: {}", partial.string(), path.string(),
                code.message());
  }
}

void require_writable(const fs::path& path) {
  if (is_standard_output(path)) return;
  std::error_code code;
  if (fs::is_directory(path, code)) {
    throw Error(ErrorKind::kIo, "{}: is a folder; expected the name of a file to write",
                path.string());
  }
  require_no_special_file(path);
  require_writable_parent(link_target(path));
}

void require_writable_folder(const fs::path& path) {
  if (is_standard_output(path)) {
    throw Error(ErrorKind::kUsage, "-: the output is a folder and cannot go to standard output");
  }
  std::error_code code;
  const fs::file_status status = fs::status(path, code);
  if (fs::exists(status) && !fs::is_directory(status)) {
    throw Error(ErrorKind::kIo, "{}: is a file; expected the name of a folder to write",
                path.string());
  }
  require_writable_parent(link_target(path));
}

void require_distinct(const fs::path& output, const fs::path& input) {
  std::error_code code;
  if (!fs::equivalent(output, input, code) || code) return;
  throw Error(ErrorKind::kUsage, "{}: is an input and would be overwritten; choose another output",
              output.string());
}

void require_distinct(const fs::path& output, const std::vector<fs::path>& inputs) {
  for (const fs::path& input : inputs) require_distinct(output, input);
}

namespace {

/// All current mappings: first byte to size.
struct Mappings {
  std::mutex mutex;
  std::map<const std::byte*, std::size_t> size_of;
};

Mappings& mappings() {
  static Mappings all;
  return all;
}

}  // namespace

MappedFile::MappedFile(const fs::path& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) throw_io(path, "cannot open");
  struct stat info{};
  if (::fstat(file.get(), &info) != 0) throw_io(path, "cannot stat");
  if (!S_ISREG(info.st_mode))
    throw Error(ErrorKind::kIo, "{}: expected a regular file", path.string());
  size_ = static_cast<std::size_t>(info.st_size);
  if (size_ == 0) return;
  void* mapped = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (mapped == MAP_FAILED) throw_io(path, "cannot map");
  data_ = static_cast<const std::byte*>(mapped);
  const std::lock_guard lock(mappings().mutex);
  mappings().size_of.emplace(data_, size_);
}

MappedFile::~MappedFile() {
  if (data_ == nullptr) return;
  const std::lock_guard lock(mappings().mutex);
  mappings().size_of.erase(data_);
  ::munmap(const_cast<std::byte*>(data_), size_);
}

void MappedFile::release_pages(const void* begin, std::size_t bytes) {
  const auto* first = static_cast<const std::byte*>(begin);
  const std::lock_guard lock(mappings().mutex);
  auto mapping = mappings().size_of.upper_bound(first);
  if (mapping == mappings().size_of.begin()) return;
  --mapping;
  if (first + bytes > mapping->first + mapping->second) return;
  // Whole pages only: those at the ends hold other bytes too.
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const auto offset = static_cast<std::size_t>(first - mapping->first);
  const std::size_t from = (offset + page - 1) / page * page, to = (offset + bytes) / page * page;
  if (from < to) ::madvise(const_cast<std::byte*>(mapping->first) + from, to - from, MADV_DONTNEED);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

LineAppender::LineAppender(const fs::path& path) : path_(path) {
  if (path.has_parent_path()) create_folders(path.parent_path());
  fd_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd_ < 0) throw_io(path, "cannot open for appending");
}

LineAppender::~LineAppender() {
  if (fd_ >= 0) ::close(fd_);
}

void LineAppender::append(std::string_view line) {
  std::string whole(line);
  whole += '\n';
  write_all(fd_, whole, path_);
}

void refuse_lfs_pointer(std::string_view head, std::string_view file) {
  if (!head.starts_with("version https://git-lfs.github.com/spec/")) return;
  throw Error(ErrorKind::kInput,
              "{}: is a pointer of Git LFS, not the data itself; fetch it with git lfs pull, or "
              "download the file",
              file);
}

}  // namespace charm
