#include "charm/torch/host_copy.h"

#include <ATen/ops/empty.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <cstring>

namespace charm::torch {

at::Tensor copy_to_device(const void* data, std::int64_t count, at::ScalarType type,
                          const at::Device& device) {
  at::Tensor host =
      at::empty({count}, at::TensorOptions().dtype(type).pinned_memory(device.is_cuda()));
  if (count > 0) std::memcpy(host.mutable_data_ptr(), data, host.nbytes());
  return host.to(
      device, /*non_blocking=*/true);  // torch keeps pinned memory alive until its copies complete
}

HostCopy::HostCopy(const at::Tensor& tensor) {
  if (tensor.is_cpu()) {
    host_ = tensor.contiguous();
    return;
  }
  host_ = at::empty(tensor.sizes(), at::TensorOptions().dtype(tensor.dtype()).pinned_memory(true));
  host_.copy_(tensor, /*non_blocking=*/true);
  arrived_ = std::make_shared<c10::Event>(tensor.device().type());
  arrived_->record(c10::impl::VirtualGuardImpl(tensor.device().type()).getStream(tensor.device()));
}

const at::Tensor& HostCopy::wait() const {
  if (arrived_) arrived_->synchronize();
  return host_;
}

}  // namespace charm::torch
