#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Event.h>

#include <cstdint>
#include <memory>
#include <vector>

// Small tensors between host and device without waiting for the device's queue: through page-locked
// memory. On a CPU plain copies.
namespace charm::nn {

/// `count` elements of `type` at `data`, on `device`; the memory may be reused at once.
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

/// A tensor on its way to the host, behind all work that was queued before it. Not safe for
/// concurrent use.
class HostCopy {
 public:
  explicit HostCopy(const at::Tensor& tensor);

  /// The contiguous copy, once it has arrived.
  const at::Tensor& wait() const;

 private:
  at::Tensor host_;
  std::shared_ptr<c10::Event> arrived_;  ///< null: there already
};

}  // namespace charm::nn
