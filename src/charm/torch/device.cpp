#include "charm/torch/device.h"

#include <ATen/ops/empty.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>

#include "charm/base/check.h"

namespace charm::torch {

DeviceUpload::DeviceUpload(const at::Device& device, std::int64_t chunk_bytes)
    : device_(device), chunk_bytes_(chunk_bytes) {
  const bool cpu = device.is_cpu();
  if (!cpu) {
    const c10::impl::VirtualGuardImpl devices(device.type());
    device_ = devices.getDevice();  // with its index
    stream_ = devices.getStreamFromGlobalPool(device_);
  }
  for (Buffer& buffer : buffers_) {
    buffer.bytes =
        at::empty({chunk_bytes}, at::TensorOptions().dtype(at::kByte).pinned_memory(!cpu));
    if (!cpu) buffer.sent.emplace(device.type());
  }
}

at::Tensor DeviceUpload::upload(const at::Tensor& source, at::ScalarType dtype) {
  CHARM_CHECK(source.is_cpu() && source.is_contiguous(),
              "only contiguous CPU tensors are uploaded");
  at::Tensor result = at::empty(source.sizes(), at::TensorOptions().dtype(dtype).device(device_));
  if (stream_) {  // the caching allocator may hand out memory still in use on the current stream
    c10::Event allocated(device_.type());
    allocated.record(c10::impl::VirtualGuardImpl(device_.type()).getStream(device_));
    allocated.block(*stream_);
  }
  const at::Tensor from = source.view({-1}), to = result.view({-1});
  const std::int64_t chunk = chunk_bytes_ / static_cast<std::int64_t>(c10::elementSize(dtype));
  for (std::int64_t begin = 0; begin < from.numel(); begin += chunk) {
    const std::int64_t count = std::min(chunk, from.numel() - begin);
    Buffer& buffer = buffers_[next_];
    next_ = 1 - next_;
    if (buffer.sent) buffer.sent->synchronize();
    const at::Tensor staged = buffer.bytes.view(dtype).narrow(0, 0, count);
    staged.copy_(from.narrow(0, begin, count));
    if (!stream_) {
      to.narrow(0, begin, count).copy_(staged);
      continue;
    }
    const c10::StreamGuard guard(*stream_);
    to.narrow(0, begin, count).copy_(staged, /*non_blocking=*/true);
    buffer.sent->record(*stream_);
  }
  return result;
}

void DeviceUpload::finish() {
  for (Buffer& buffer : buffers_) {
    if (buffer.sent) buffer.sent->synchronize();
  }
}

}  // namespace charm::torch
