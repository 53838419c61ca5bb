#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Event.h>

#include <cstdint>
#include <memory>
#include <vector>

// Asynchronous copies of small tensors between host and device through pinned memory. On a CPU
// plain copies.
namespace charm::torch {

/// `count` elements of `type` at `data`, on `device`; `data` may be reused at once.
at::Tensor copy_to_device(const void* data, std::int64_t count, at::ScalarType type,
                          const at::Device& device);

inline at::Tensor to_device(const std::vector<std::int64_t>& values, const at::Device& device) {
  return copy_to_device(values.data(), static_cast<std::int64_t>(values.size()), at::kLong, device);
}
inline at::Tensor to_device(const std::vector<std::int32_t>& values, const at::Device& device) {
  return copy_to_device(values.data(), static_cast<std::int64_t>(values.size()), at::kInt, device);
}
inline at::Tensor to_device(const std::vector<float>& values, const at::Device& device) {
  return copy_to_device(values.data(), static_cast<std::int64_t>(values.size()), at::kFloat,
                        device);
}

/// A device-to-host copy in flight, ordered after all work queued before it. Not thread-safe.
class HostCopy {
 public:
  explicit HostCopy(const at::Tensor& tensor);

  /// Waits for the copy and returns it; contiguous.
  const at::Tensor& wait() const;

 private:
  at::Tensor host_;
  std::shared_ptr<c10::Event> arrived_;  ///< null: already complete
};

}  // namespace charm::torch
