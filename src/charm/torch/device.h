#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Event.h>
#include <c10/core/Stream.h>
#include <c10/util/Exception.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

#include "charm/base/error.h"

namespace charm::torch {

/// Copies tensors from mapped files to a device in chunks through two pinned staging buffers
/// (double buffering): while one chunk is in flight on a side stream, the next is read and
/// converted. Host memory is those two buffers. Not thread-safe.
class DeviceUpload {
 public:
  static constexpr std::int64_t kChunkBytes = std::int64_t{128} << 20;

  /// @param device  a GPU; with a CPU the copies are plain
  explicit DeviceUpload(const at::Device& device, std::int64_t chunk_bytes = kChunkBytes);

  /// A copy of `source` (CPU, contiguous) in `dtype` on the device; complete after `finish`.
  at::Tensor upload(const at::Tensor& source, at::ScalarType dtype);

  /// Waits until all copies have completed.
  void finish();

 private:
  struct Buffer {
    at::Tensor bytes;
    std::optional<c10::Event> sent;  ///< completion of its last copy
  };

  at::Device device_;
  std::int64_t chunk_bytes_;
  std::optional<c10::Stream> stream_;  ///< none on a CPU
  std::array<Buffer, 2> buffers_;
  std::size_t next_ = 0;
};

/// Runs `work` and converts torch's exceptions to charm::Error: device out of memory is kResource,
/// anything else kInternal, one line each.
/// @param advice  next step when out of memory
template <typename Work>
auto with_device_errors(const char* advice, Work&& work) -> decltype(work()) {
  try {
    return std::forward<Work>(work)();
  } catch (const c10::OutOfMemoryError& error) {
    throw Error(ErrorKind::kResource, "out of device memory: {}; {}",
                error.what_without_backtrace(), advice);
  } catch (const c10::Error& error) {
    throw Error(ErrorKind::kInternal, "torch: {}", error.what_without_backtrace());
  }
}

}  // namespace charm::torch
