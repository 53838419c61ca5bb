#include "charm/engine/weights_file.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include <cstring>

#include "charm/base/files.h"
#include "charm/engine/safetensors.h"
#include "charm/engine/torch_file.h"

namespace charm::engine {

std::unique_ptr<WeightsFile> open_weights_file(const std::filesystem::path& path) {
  const std::filesystem::path extension = path.extension();
  if (extension == ".bin" || extension == ".pt" || extension == ".pth")
    return std::make_unique<TorchFile>(path);
  return std::make_unique<SafetensorsFile>(path);
}

at::Tensor view_of_bytes(const std::shared_ptr<const MappedFile>& file, const TensorInfo& info) {
  const auto options = at::TensorOptions().dtype(info.dtype);
  const auto* bytes = reinterpret_cast<const char*>(file->data()) + info.begin;
  if (info.begin == info.end) return at::empty(info.shape, options);
  const auto keep = [file](void*) {};
  const bool aligned = reinterpret_cast<std::uintptr_t>(bytes) % c10::elementSize(info.dtype) == 0;
  if (aligned && info.strides.empty())
    return at::from_blob(const_cast<char*>(bytes), info.shape, keep, options);
  if (aligned)
    return at::from_blob(const_cast<char*>(bytes), info.shape, info.strides, keep, options)
        .contiguous();
  // Both formats usually align their tensors but need not: unaligned ones are copied.
  const auto size = static_cast<std::int64_t>(info.end - info.begin);
  at::Tensor copy =
      at::empty({size / static_cast<std::int64_t>(c10::elementSize(info.dtype))}, options);
  std::memcpy(copy.mutable_data_ptr(), bytes, info.end - info.begin);
  if (info.strides.empty()) return copy.view(info.shape);
  return copy.as_strided(info.shape, info.strides).contiguous();
}

void release_pages(const at::Tensor& tensor) {
  if (tensor.defined() && tensor.is_cpu() && tensor.is_contiguous())
    MappedFile::release_pages(tensor.const_data_ptr(), tensor.nbytes());
}

}  // namespace charm::engine
