#include "charm/storage/gzip.h"

#include <zlib.h>

#include <algorithm>
#include <limits>

#include "charm/base/check.h"

namespace charm::storage {

std::string gzip_bytes(std::string_view bytes) {
  constexpr int kWindowBits = 15 + 16;  // of 32 KiB, in gzip's format
  constexpr int kMemoryLevel = 8;
  z_stream stream{};
  const int ready = deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, kWindowBits, kMemoryLevel,
                                 Z_DEFAULT_STRATEGY);
  CHARM_CHECK(ready == Z_OK, "zlib: deflateInit2 returned {}", ready);
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
