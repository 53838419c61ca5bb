#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace charm {
class MappedFile;
}

namespace charm::tensor {

// The safetensors format: 8 bytes little-endian header length N, N bytes of JSON, then the tensors'
// bytes. The JSON maps names to {"dtype", "shape", "data_offsets": [begin, end]} with offsets
// counted from the end of the header, and may hold "__metadata__" (string to string).

/// Dtype, shape and byte range of one tensor.
struct TensorInfo {
  at::ScalarType dtype = at::ScalarType::Undefined;
  std::vector<std::int64_t> shape;
  std::size_t begin = 0;  ///< first byte, counted from the start of the file
  std::size_t end = 0;    ///< one past the last byte
};

/// One memory-mapped safetensors file, fully validated when opened: header length and JSON, known
/// dtypes, byte counts equal to shape times element size, no duplicate names, no overlap, no gap,
/// nothing missing or left over at the end. Immutable; thread-safe.
class SafetensorsFile {
 public:
  /// Throws kInput naming the file and the tensor, kIo when the file cannot be opened.
  explicit SafetensorsFile(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return path_; }
  const std::map<std::string, TensorInfo>& tensors() const { return tensors_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }

  /// A tensor over the mapped bytes, which must not be written; it keeps the mapping alive. CPU,
  /// stored dtype.
  at::Tensor view(const std::string& name) const;

 private:
  std::filesystem::path path_;
  std::shared_ptr<const MappedFile> file_;
  std::map<std::string, TensorInfo> tensors_;
  std::map<std::string, std::string> metadata_;
};

/// Releases the resident pages of a tensor that `view` made (madvise); a later read faults them in
/// from the file again. No effect on other tensors.
void release_pages(const at::Tensor& tensor);

/// The safetensors of a model folder: `model.safetensors`, or the shards that
/// `model.safetensors.index.json` names (each tensor must be in the shard the index names, and in
/// no other). Immutable; thread-safe.
class SafetensorsFolder {
 public:
  /// Throws kInput when the folder holds no safetensors (naming pickles it holds instead) or index
  /// and shards disagree.
  explicit SafetensorsFolder(const std::filesystem::path& folder);

  /// Every tensor's name and the file that holds it.
  const std::map<std::string, const SafetensorsFile*>& tensors() const { return tensors_; }
  const std::vector<std::unique_ptr<SafetensorsFile>>& files() const { return files_; }

 private:
  std::vector<std::unique_ptr<SafetensorsFile>> files_;
  std::map<std::string, const SafetensorsFile*> tensors_;
};

/// Writes tensors (any device and strides) in the given order, converting each to `dtype` as it is
/// written, so that the extra memory is one tensor. The same tensors give the same bytes. The file
/// is published atomically.
void write_safetensors(const std::filesystem::path& path,
                       const std::vector<std::pair<std::string, at::Tensor>>& tensors,
                       at::ScalarType dtype,
                       const std::map<std::string, std::string>& metadata = {});

/// The same, each tensor in its own dtype.
void write_safetensors(const std::filesystem::path& path,
                       const std::vector<std::pair<std::string, at::Tensor>>& tensors,
                       const std::map<std::string, std::string>& metadata = {});

/// "F32", "BF16", ...: the format's name of a dtype. Throws kInternal for one the format does not
/// have.
std::string safetensors_dtype_name(at::ScalarType dtype);

/// The inverse; empty for a name the format does not have or torch has no dtype for.
std::optional<at::ScalarType> dtype_of_name(std::string_view name);

/// Flat index of the first NaN or infinite element of a contiguous float32, float16 or bfloat16 CPU
/// tensor; empty when all are finite. Runs at memory bandwidth.
std::optional<std::int64_t> find_non_finite(const at::Tensor& values);

}  // namespace charm::tensor
