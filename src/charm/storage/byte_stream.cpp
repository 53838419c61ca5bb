#include "charm/storage/byte_stream.h"

#include <zlib.h>

#include <cerrno>
#include <cstring>

#include "charm/base/error.h"

namespace charm::storage {
namespace {

constexpr std::size_t kChunkBytes = 1 << 18;

gzFile handle(void* file) { return static_cast<gzFile>(file); }

}  // namespace

ByteStream::ByteStream(const std::filesystem::path& path) : path_(path) {
  errno = 0;
  file_ = ::gzopen(path.c_str(), "rbe");
  if (file_ == nullptr) {
    throw Error(ErrorKind::kIo, "{}: cannot open: {}", path.string(),
                errno != 0 ? std::strerror(errno) : "out of memory");
  }
  ::gzbuffer(handle(file_), kChunkBytes);
}

ByteStream::~ByteStream() {
  if (file_ != nullptr) ::gzclose(handle(file_));
}

bool ByteStream::fill() {
  if (at_end_) return false;
  buffer_.resize(kChunkBytes);
  position_ = 0;
  errno = 0;
  const int got = ::gzread(handle(file_), buffer_.data(), static_cast<unsigned>(buffer_.size()));
  int code = Z_OK;
  const char* message = ::gzerror(handle(file_), &code);
  if (code == Z_ERRNO)
    throw Error(ErrorKind::kIo, "{}: cannot read: {}", path_.string(), std::strerror(errno));
  // A truncated gzip member reports Z_BUF_ERROR along with the last bytes.
  if (code == Z_BUF_ERROR)
    throw Error(ErrorKind::kInput, "{}: the gzip data is truncated", path_.string());
  if (got < 0)
    throw Error(ErrorKind::kInput, "{}: the gzip data is corrupt: {}", path_.string(), message);
  buffer_.resize(static_cast<std::size_t>(got));
  at_end_ = got == 0;
  if (at_start_) {
    at_start_ = false;
    if (buffer_.starts_with("\xEF\xBB\xBF")) position_ = 3;
  }
  return position_ < buffer_.size() || (!at_end_ && fill());
}

std::optional<char> ByteStream::peek() {
  if (position_ == buffer_.size() && !fill()) return std::nullopt;
  return buffer_[position_];
}

std::optional<char> ByteStream::get() {
  const std::optional<char> byte = peek();
  if (byte) ++position_;
  return byte;
}

bool ByteStream::get_line(std::string& line) {
  line.clear();
  bool any = false;
  while (position_ < buffer_.size() || fill()) {
    any = true;
    const std::size_t end = buffer_.find('\n', position_);
    line.append(buffer_, position_, end == std::string::npos ? std::string::npos : end - position_);
    position_ = end == std::string::npos ? buffer_.size() : end + 1;
    if (end != std::string::npos) return true;
  }
  return any;
}

std::string ByteStream::rest() {
  std::string text;
  while (position_ < buffer_.size() || fill()) {
    text.append(buffer_, position_);
    position_ = buffer_.size();
  }
  return text;
}

}  // namespace charm::storage
