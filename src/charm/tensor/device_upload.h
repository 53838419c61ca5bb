#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Event.h>
#include <c10/core/Stream.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace charm::tensor {

/// Brings tensors from mapped files to a device in chunks through two page-locked buffers: while
/// one chunk travels on a stream of its own, the next is read and converted. Host memory is those
/// two buffers. Not safe for concurrent use.
class DeviceUpload {
 public:
  static constexpr std::int64_t kChunkBytes = std::int64_t{128} << 20;

  /// @param device  a GPU; a CPU is served too, with plain copies
  explicit DeviceUpload(const at::Device& device, std::int64_t chunk_bytes = kChunkBytes);

  /// A copy of `source` (CPU, contiguous) in `dtype` on the device; complete after `finish`.
  at::Tensor upload(const at::Tensor& source, at::ScalarType dtype);

  /// Waits until everything has arrived.
  void finish();

 private:
  struct Buffer {
    at::Tensor bytes;
    std::optional<c10::Event> sent;  ///< its last chunk has left it
  };

  at::Device device_;
  std::int64_t chunk_bytes_;
  std::optional<c10::Stream> stream_;  ///< none on a CPU
  std::array<Buffer, 2> buffers_;
  std::size_t next_ = 0;
};

}  // namespace charm::tensor
