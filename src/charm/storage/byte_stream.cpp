#include "charm/storage/byte_stream.h"

#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>

#include "charm/base/check.h"
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
  if (code == Z_MEM_ERROR)
    throw Error(ErrorKind::kResource, "{}: memory ran out while it was read", path_.string());
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

std::string gzip_bytes(std::string_view bytes, int effort) {
  constexpr int kWindowBits = 15 + 16;  // of 32 KiB, in gzip's format
  constexpr int kMemoryLevel = 8;
  z_stream stream{};
  if (deflateInit2(&stream, effort, Z_DEFLATED, kWindowBits, kMemoryLevel, Z_DEFAULT_STRATEGY) !=
      Z_OK)
    throw Error(ErrorKind::kResource, "zlib cannot start: out of memory");
  std::string compressed;
  std::string buffer(std::size_t{1} << 16, '\0');
  int state = Z_OK;
  while (state != Z_STREAM_END) {
    if (stream.avail_in == 0) {
      const auto count = std::min<std::size_t>(bytes.size(), std::numeric_limits<uInt>::max());
      // zlib does not write to its input.
      stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
      stream.avail_in = static_cast<uInt>(count);
      bytes.remove_prefix(count);
    }
    stream.next_out = reinterpret_cast<Bytef*>(buffer.data());
    stream.avail_out = static_cast<uInt>(buffer.size());
    state = deflate(&stream, bytes.empty() ? Z_FINISH : Z_NO_FLUSH);
    CHARM_CHECK(state == Z_OK || state == Z_STREAM_END || state == Z_BUF_ERROR,
                "zlib: deflate returned {}", state);
    compressed.append(buffer, 0, buffer.size() - stream.avail_out);
  }
  deflateEnd(&stream);
  return compressed;
}

}  // namespace charm::storage
