#include "charm/hub/hub_cache.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "charm/base/error.h"
#include "charm/base/files.h"

namespace charm::hub {
namespace {

std::string folder_name(const HubSource& source, RepoKind kind) {
  std::string name = kind == RepoKind::kModel ? "models--" : "datasets--";
  for (const char c : source.repo) name += c == '/' ? "--" : std::string(1, c);
  return name;
}

}  // namespace

bool is_commit(const std::string& text) {
  return text.size() == 40 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

RepoCache::RepoCache(const fs::path& cache_dir, const HubSource& source, RepoKind kind)
    : folder_(cache_dir / folder_name(source, kind)) {}

std::optional<std::string> RepoCache::commit_of(const std::string& revision) const {
  if (is_commit(revision)) return revision;
  const fs::path ref = folder_ / "refs" / revision;
  std::error_code error;
  if (!fs::exists(ref, error)) return std::nullopt;
  std::string commit = read_file(ref);
  while (!commit.empty() && (commit.back() == '\n' || commit.back() == ' ')) commit.pop_back();
  return is_commit(commit) ? std::optional<std::string>(commit) : std::nullopt;
}

void RepoCache::set_commit(const std::string& revision, const std::string& commit) const {
  if (!is_commit(revision)) write_file(folder_ / "refs" / revision, commit);
}

void RepoCache::link(const std::string& commit, const std::string& file,
                     const std::string& etag) const {
  const fs::path path = snapshot(commit) / file;
  create_folders(path.parent_path());
  const fs::path target = blob(etag).lexically_relative(path.parent_path());
  std::error_code error;
  if (fs::is_symlink(path, error) && fs::read_symlink(path, error) == target) return;
  const fs::path partial = partial_path(path);
  fs::remove(partial, error);
  fs::create_symlink(target, partial, error);
  if (!error) fs::rename(partial, path, error);
  if (error)
    throw Error(ErrorKind::kIo, "{}: cannot create the link: {}", path.string(), error.message());
}

PartialFile::PartialFile(const fs::path& path) : path_(path) {
  create_folders(path.parent_path());
  fd_ = open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd_ < 0)
    throw Error(ErrorKind::kIo, "{}: cannot open: {}", path_.string(), std::strerror(errno));
  while (flock(fd_, LOCK_EX) != 0 && errno == EINTR) {
  }
  struct stat info{};
  if (fstat(fd_, &info) != 0) {
    close(fd_);
    throw Error(ErrorKind::kIo, "{}: cannot stat: {}", path_.string(), std::strerror(errno));
  }
  size_ = info.st_size;
}

PartialFile::~PartialFile() { close(fd_); }

void PartialFile::append(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0)
      throw Error(ErrorKind::kIo, "{}: cannot write: {}", path_.string(), std::strerror(errno));
    size_ += written;
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
}

void PartialFile::clear() {
  if (ftruncate(fd_, 0) != 0)
    throw Error(ErrorKind::kIo, "{}: cannot truncate: {}", path_.string(), std::strerror(errno));
  size_ = 0;
}

}  // namespace charm::hub
