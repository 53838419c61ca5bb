#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "charm/engine/tensor.h"

namespace charm {
class MappedFile;
}

namespace charm::engine {

/// Dtype, shape and byte range of one tensor.
struct TensorInfo {
  DType dtype = DType::kFloat32;
  std::vector<std::int64_t> shape;
  std::size_t begin = 0;              ///< first byte, counted from the start of the file
  std::size_t end = 0;                ///< one past the last byte
  std::vector<std::int64_t> strides;  ///< in elements; empty: contiguous
};

/// One memory-mapped file of tensors, fully validated when opened. Immutable; thread-safe.
class WeightsFile {
 public:
  virtual ~WeightsFile() = default;
  WeightsFile(const WeightsFile&) = delete;
  WeightsFile& operator=(const WeightsFile&) = delete;

  const std::filesystem::path& path() const { return path_; }
  const std::map<std::string, TensorInfo>& tensors() const { return tensors_; }

  /// A contiguous tensor over the mapped bytes, which must not be written, or a copy where they are
  /// not contiguous; it keeps the mapping alive. CPU, stored dtype.
  virtual Tensor view(const std::string& name) const = 0;

 protected:
  explicit WeightsFile(std::filesystem::path path) : path_(std::move(path)) {}

  std::filesystem::path path_;
  std::map<std::string, TensorInfo> tensors_;
};

/// Opens a safetensors file or, by the extensions .bin, .pt and .pth, one of torch.save. Throws
/// kInput naming the file and the tensor, kIo when the file cannot be opened.
std::unique_ptr<WeightsFile> open_weights_file(const std::filesystem::path& path);

/// The tensor that `info` describes in `file`, for `WeightsFile::view`.
Tensor view_of_bytes(const std::shared_ptr<const MappedFile>& file, const TensorInfo& info);

/// Releases the resident pages of a tensor that `view` made (madvise); a later read faults them in
/// from the file again. No effect on other tensors.
void release_pages(const Tensor& tensor);

}  // namespace charm::engine
