#include "charm/engine/weights_file.h"

#include <cstring>

#include "charm/base/files.h"
#include "charm/engine/safetensors.h"
#include "charm/engine/torch_file.h"

namespace charm::engine {
namespace {

/// Copies the strided elements of a tensor in row-major order.
void gather(const std::byte* from, const TensorInfo& info, Tensor& to) {
  const std::size_t element = element_bytes(info.dtype);
  std::vector<std::int64_t> index(info.shape.size(), 0);
  std::byte* out = to.mutable_bytes();
  for (std::int64_t left = to.numel(); left > 0; --left, out += element) {
    std::int64_t offset = 0;
    for (std::size_t i = 0; i < index.size(); ++i) offset += index[i] * info.strides[i];
    std::memcpy(out, from + static_cast<std::size_t>(offset) * element, element);
    for (std::size_t i = index.size(); i-- > 0;) {
      if (++index[i] < info.shape[i]) break;
      index[i] = 0;
    }
  }
}

}  // namespace

std::unique_ptr<WeightsFile> open_weights_file(const std::filesystem::path& path) {
  const std::filesystem::path extension = path.extension();
  if (extension == ".bin" || extension == ".pt" || extension == ".pth")
    return std::make_unique<TorchFile>(path);
  return std::make_unique<SafetensorsFile>(path);
}

Tensor view_of_bytes(const std::shared_ptr<const MappedFile>& file, const TensorInfo& info) {
  if (info.begin == info.end) return Tensor::empty(info.shape, info.dtype);
  const std::byte* bytes = file->data() + info.begin;
  const std::size_t element = element_bytes(info.dtype);
  // Both formats usually align their tensors but need not: unaligned ones are copied.
  const bool aligned = reinterpret_cast<std::uintptr_t>(bytes) % element == 0;
  if (aligned && info.strides.empty()) return Tensor::over(file, bytes, info.shape, info.dtype);
  Tensor copy = Tensor::empty(info.shape, info.dtype);
  if (info.strides.empty()) {
    std::memcpy(copy.mutable_bytes(), bytes, info.end - info.begin);
  } else {
    gather(bytes, info, copy);
  }
  return copy;
}

void release_pages(const Tensor& tensor) {
  if (tensor.defined()) MappedFile::release_pages(tensor.bytes(), tensor.nbytes());
}

}  // namespace charm::engine
